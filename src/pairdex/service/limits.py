"""Every limit of the service, with its unit and its reason, written once."""

from __future__ import annotations

__all__ = [
    "ABANDONED_SECONDS",
    "BODY_SECONDS",
    "BURST_SECONDS",
    "CODES_RETRIES",
    "CONTROL_SECONDS",
    "DEFAULT_HOST",
    "DEFAULT_PICTURE_SIDE",
    "DEFAULT_PORT",
    "FETCHERS",
    "FETCH_SECONDS",
    "FILTER_SECONDS",
    "GRACE_SECONDS",
    "HEAD_SECONDS",
    "KEPT_BATCHES",
    "KEPT_DUPLICATES",
    "KEPT_DUPLICATE_FILES",
    "KEPT_TEXTS",
    "MAX_BATCH",
    "MAX_BODY_BYTES",
    "MAX_CLIENTS",
    "MAX_COLUMN_CHARS",
    "MAX_DEPTH",
    "MAX_DUPLICATE_GROUPS",
    "MAX_DUPLICATE_GROUP_ROWS",
    "MAX_DUPLICATE_ROWS",
    "MAX_DUPLICATE_THRESHOLD",
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
    "MAX_REPLICAS",
    "MAX_RESTART_SECONDS",
    "MAX_RESULT_IDS",
    "MAX_TOKEN_BYTES",
    "MAX_URL_CHARS",
    "MAX_VECTOR_VALUES",
    "MAX_WORKERS",
    "MIN_PICTURE_SIDE",
    "POLL_SECONDS",
    "RESTART_SECONDS",
    "TURN_SECONDS",
    "WAITING_DUPLICATES",
    "WORKERS",
    "WORK_SECONDS",
]

DEFAULT_HOST = "127.0.0.1"  # only this machine
DEFAULT_PORT = 8420  # 0: a free one

MAX_BODY_BYTES = 16 * 2**20  # a photograph of 12 MB as base64; larger bodies are refused unread
BODY_SECONDS = 30.0  # for a body to arrive, so that slow clients do not hold connections

HEAD_SECONDS = 10.0  # for a request's head to arrive, from the start of the connection
MAX_HEAD_BYTES = 65_536  # of a head; browsers send a tenth of that

MAX_K = 1_000  # rows of a response: about 1 MB of JSON with LAION's columns
MAX_DEPTH = 10_000  # offset + k; nobody looks at deeper pages
MAX_IDS = 1_000  # rows of POST /api/items, as MAX_K
MAX_KEYWORDS_CHARS = 1_000  # far above 64 words
MAX_COLUMN_CHARS = 1_000  # of a column to sort by: far above any name
MAX_URL_CHARS = 8_192  # of a URL to look up: browsers follow no longer ones
MAX_ID = 2**63 - 1  # ids are int64
MAX_ON_CHARS = 64  # far above "hamming", the longest name of a projection
MAX_VECTOR_VALUES = 16_384  # far above the dimension of any embedding

MIN_PICTURE_SIDE = 16  # pixels, longer side of a served picture
DEFAULT_PICTURE_SIDE = 512  # pixels: sharp in the grid on a dense screen
MAX_PICTURE_SIDE = 2_048  # pixels: fills a screen; the original file is never sent

WORKERS = 4  # searches and pictures in progress at once; one search uses all cores
TURN_SECONDS = 0.05  # one of them runs alone, if others wait; most take a tenth of that
WORK_SECONDS = 30.0  # for one of them, including waiting; then 503
FILTER_SECONDS = 20.0  # for the filters of one of them, so that none keeps a worker
GRACE_SECONDS = 10  # for requests in progress to end after Ctrl-C or SIGTERM

MAX_REPLICAS = 16  # actors with the same shard; more nodes hold more shards instead
CONTROL_SECONDS = (
    45.0  # without Ray's control process; after 60 Ray ends the process without a word
)

MAX_WORKERS = 64  # processes of one service; each loads the model
RESTART_SECONDS = 1.0  # before a worker that died before it answered is replaced, doubled each time
MAX_RESTART_SECONDS = 30.0  # for the same, at most
MAX_TOKEN_BYTES = 4_096  # of a token's file; a larger one is not a token

MAX_BATCH = 64  # searches, or texts to encode, in a batch; more gain nothing
KEPT_BATCHES = 256  # kinds of searches (by collection, on, filter, k) that wait to be asked again
KEPT_TEXTS = 4_096  # texts whose vectors are cached: 8 MB at 512 dimensions

MAX_IN_PROGRESS = 512  # requests in progress; further ones wait less if they retry

POLL_SECONDS = 1.0  # between checks of a collection's files: some microseconds for each file
CODES_RETRIES = 60  # checks, for a build to end that prevents making codes; then without codes

BURST_SECONDS = 2.0  # of its rate, as a burst: a page sends several requests at once
MAX_RATE = 100_000  # requests per second of one client; more is not a limit
MAX_CLIENTS = 10_000  # addresses with a bucket: 2 MB; the least recent are dropped

FETCHERS = 8  # pictures fetched at once, apart from the workers, so that searches do not wait
FETCH_SECONDS = 10.0  # for a picture to arrive, including redirects
MAX_FETCH_BYTES = 16 * 2**20  # of a fetched picture, as of one that a client sends
MAX_REDIRECTS = 3  # more are a loop
MAX_FETCH_URL_CHARS = 2_048  # of a URL to fetch: image hosts accept no longer ones

MAX_DUPLICATE_ROWS = (
    2_000_000  # rows that GET /api/duplicates compares: minutes on one core, 1.5 GB of disk
)
MAX_DUPLICATE_THRESHOLD = 0.1  # larger ones rule out little, so that they take much longer
MAX_DUPLICATE_GROUPS = 50  # of a response, and
MAX_DUPLICATE_GROUP_ROWS = 20  # of each of them: 1,000 rows in all, as MAX_K
KEPT_DUPLICATES = 4  # results in memory: 32 MB each at most
KEPT_DUPLICATE_FILES = 24  # results on disk: all thresholds of two collections
WAITING_DUPLICATES = 12  # thresholds that wait to be computed: a slider moved from end to end
ABANDONED_SECONDS = 60.0  # without a request for it, after which a threshold is not computed

MAX_RESULT_IDS = 3_000  # of POST /knn-service: what clip-front asks for
