"""pairdex: an index of image-text pairs, from released parts to search, page and exports."""

from pairdex.api import (
    build,
    dedup,
    export,
    fetch,
    index,
    open,  # noqa: A004 - pairdex.open, as gzip.open
    project,
    releases,
    remove,
    sql,
    subset,
    verify,
)
from pairdex.client import Client
from pairdex.collection import Collection
from pairdex.curate.score import score
from pairdex.derived.atlas.make import atlas
from pairdex.encoders.encode import encode
from pairdex.encoders.export.export import export_model
from pairdex.errors import PairdexError
from pairdex.evaluation.bench import bench
from pairdex.evaluation.evaluate import evaluate
from pairdex.exports.training.examples import examples
from pairdex.reference.reference import gold, queries
from pairdex.search import Query, Term
from pairdex.store.verify_model import verify_model
from pairdex.version import __version__

__all__ = [
    "Client",
    "Collection",
    "PairdexError",
    "Query",
    "Term",
    "__version__",
    "atlas",
    "bench",
    "build",
    "dedup",
    "encode",
    "evaluate",
    "examples",
    "export",
    "export_model",
    "fetch",
    "gold",
    "index",
    "open",
    "project",
    "queries",
    "releases",
    "remove",
    "score",
    "sql",
    "subset",
    "verify",
    "verify_model",
]
