"""pairdex: an index of image-text pairs, from released parts to search, page and exports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pairdex.version import __version__

if TYPE_CHECKING:
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
    )
    from pairdex.client import Client
    from pairdex.collection import Collection
    from pairdex.curate.score import score
    from pairdex.derived.atlas.make import atlas
    from pairdex.derived.info import info
    from pairdex.derived.verify import verify
    from pairdex.encoders.encode import encode
    from pairdex.encoders.export.export import export_model
    from pairdex.errors import PairdexError
    from pairdex.evaluation.bench import bench
    from pairdex.evaluation.evaluate import evaluate
    from pairdex.exports.training.examples import examples
    from pairdex.follow.photos import photos
    from pairdex.reference.reference import gold, queries
    from pairdex.search.query import Query, Term
    from pairdex.store.verify_model import verify_model

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
    "info",
    "open",
    "photos",
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

# A name is imported when it is first used: `import pairdex` stays fast.
_MODULES = {
    "pairdex.api": "build dedup export fetch index open project releases remove sql subset",
    "pairdex.client": "Client",
    "pairdex.collection": "Collection",
    "pairdex.curate.score": "score",
    "pairdex.derived.atlas.make": "atlas",
    "pairdex.derived.info": "info",
    "pairdex.derived.verify": "verify",
    "pairdex.encoders.encode": "encode",
    "pairdex.encoders.export.export": "export_model",
    "pairdex.errors": "PairdexError",
    "pairdex.evaluation.bench": "bench",
    "pairdex.evaluation.evaluate": "evaluate",
    "pairdex.exports.training.examples": "examples",
    "pairdex.follow.photos": "photos",
    "pairdex.reference.reference": "gold queries",
    "pairdex.search.query": "Query Term",
    "pairdex.store.verify_model": "verify_model",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'pairdex' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
