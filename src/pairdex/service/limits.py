"""Every limit of the service, with its unit and its reason, written once."""

from __future__ import annotations

__all__ = [
    "BODY_SECONDS",
    "BURST_SECONDS",
    "CODES_RETRIES",
    "DEFAULT_HOST",
    "DEFAULT_PICTURE_SIDE",
    "DEFAULT_PORT",
    "FETCHERS",
    "FETCH_SECONDS",
    "FILTER_SECONDS",
    "GRACE_SECONDS",
    "HEAD_SECONDS",
    "KEPT_BATCHES",
    "KEPT_TEXTS",
    "MAX_BATCH",
    "MAX_BODY_BYTES",
    "MAX_CLIENTS",
    "MAX_DEPTH",
    "MAX_FETCH_BYTES",
    "MAX_FETCH_URL_CHARS",
    "MAX_HEAD_BYTES",
    "MAX_ID",
    "MAX_IDS",
    "MAX_IN_PROGRESS",
    "MAX_K",
    "MAX_KEYWORDS_CHARS",
    "MAX_ON_CHARS",
    "MAX_PICTURE_SIDE",
    "MAX_RATE",
    "MAX_REDIRECTS",
    "MAX_RESULT_IDS",
    "MAX_URL_CHARS",
    "MAX_VECTOR_VALUES",
    "MIN_PICTURE_SIDE",
    "POLL_SECONDS",
    "WORKERS",
    "WORK_SECONDS",
]

DEFAULT_HOST = "127.0.0.1"  # this machine only
DEFAULT_PORT = 8420  # 0 takes a free one

MAX_BODY_BYTES = 16 * 2**20  # a photograph of 12 MB as base64; what is larger is refused unread
BODY_SECONDS = 30.0  # for a body to arrive; a client that drips bytes holds a connection no longer

HEAD_SECONDS = 10.0  # for a request's head to arrive, from the connection on
MAX_HEAD_BYTES = 65_536  # of a head: browsers send a tenth of that

MAX_K = 1_000  # rows an answer: about 1 MB of JSON with LAION's columns
MAX_DEPTH = 10_000  # offset + k: deeper pages sort more rows than anyone looks at
MAX_IDS = 1_000  # rows of POST /api/items, as MAX_K
MAX_KEYWORDS_CHARS = 1_000  # far above 64 words
MAX_URL_CHARS = 8_192  # of a URL to look up: browsers follow no longer ones
MAX_ID = 2**63 - 1  # ids are int64
MAX_ON_CHARS = 64  # far above "hamming", the longest name of what can be searched
MAX_VECTOR_VALUES = 16_384  # far above the dimension of any embedding

MIN_PICTURE_SIDE = 16  # pixels, longer side of a served picture
DEFAULT_PICTURE_SIDE = 512  # pixels: sharp in the grid on a dense screen
MAX_PICTURE_SIDE = 2_048  # pixels: fills a screen; the original file is never sent

WORKERS = 4  # searches and pictures at work at once: a search uses every core by itself
WORK_SECONDS = 30.0  # for one of them, waiting included; then 503, so that no client hangs
FILTER_SECONDS = 20.0  # for the filters of one of them; what takes longer would keep a worker
GRACE_SECONDS = 10  # for running requests to end after Ctrl-C or SIGTERM

MAX_BATCH = 64  # searches, or texts to encode, that are done together: more gain nothing
KEPT_BATCHES = 256  # kinds of searches (by collection, on, filter, k) that wait to be asked again
KEPT_TEXTS = 4_096  # texts whose vectors are kept: 8 MB at 512 dimensions

MAX_IN_PROGRESS = (
    512  # requests being answered: what comes above waits less if it comes again later
)

POLL_SECONDS = 1.0  # between looks at the dates of a collection's files: some microseconds each
CODES_RETRIES = 60  # looks, for a build to end that keeps us from making codes; then without

BURST_SECONDS = 2.0  # of its rate, that a client may ask at once: a page asks for several things
MAX_RATE = 100_000  # requests a second of one client: more is no limit
MAX_CLIENTS = 10_000  # addresses whose rate is remembered: 2 MB; the least recent are forgotten

FETCHERS = 8  # pictures being fetched at once: slow hosts keep no search waiting
FETCH_SECONDS = 10.0  # for a picture to arrive, redirects included
MAX_FETCH_BYTES = 16 * 2**20  # of a fetched picture: as of one that is sent
MAX_REDIRECTS = 3  # more is a loop
MAX_FETCH_URL_CHARS = 2_048  # of a URL to fetch: image hosts accept no longer ones

MAX_RESULT_IDS = 3_000  # of POST /knn-service: what clip-front asks for
