"""pairdex: an index of image-text pairs, from released parts to search, page and exports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairdex.client import AsyncClient, Client
    from pairdex.collection import Collection, open  # noqa: A004 - pairdex.open, as gzip.open
    from pairdex.curate.dedup import dedup
    from pairdex.curate.pairs import pairs
    from pairdex.curate.remove import remove
    from pairdex.curate.score import score
    from pairdex.curate.shard import join_shards, shard
    from pairdex.curate.subset import subset
    from pairdex.derived.atlas.make import atlas
    from pairdex.derived.index import index
    from pairdex.derived.info import info
    from pairdex.derived.projections.project import project
    from pairdex.derived.verify import verify
    from pairdex.downloads.catalogue import releases
    from pairdex.downloads.fetch import fetch
    from pairdex.encoders.encode import encode
    from pairdex.encoders.export.export import export_model
    from pairdex.encoders.fetch_model import fetch_model
    from pairdex.errors import PairdexError
    from pairdex.evaluation.bench import bench
    from pairdex.evaluation.evaluate import evaluate
    from pairdex.evaluation.recall import recall
    from pairdex.evaluation.results import write_results
    from pairdex.exports.formats import export
    from pairdex.exports.training.examples import examples
    from pairdex.follow.photos import photos
    from pairdex.knn.cosine import Neighbours
    from pairdex.metadata_sql.session import sql
    from pairdex.progress import ProgressBar
    from pairdex.reference.gold import gold
    from pairdex.reference.graph import graph
    from pairdex.reference.queries import queries
    from pairdex.search.hits import Hits
    from pairdex.search.query import Query, Term
    from pairdex.sharing.pull import pull
    from pairdex.sharing.push import push
    from pairdex.store.build import build
    from pairdex.store.set_model import set_model
    from pairdex.store.verify_model import verify_model
    from pairdex.version import __version__

__all__ = [
    "AsyncClient",
    "Client",
    "Collection",
    "Hits",
    "Neighbours",
    "PairdexError",
    "ProgressBar",
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
    "fetch_model",
    "gold",
    "graph",
    "index",
    "info",
    "join_shards",
    "open",
    "pairs",
    "photos",
    "project",
    "pull",
    "push",
    "queries",
    "recall",
    "releases",
    "remove",
    "score",
    "set_model",
    "shard",
    "sql",
    "subset",
    "verify",
    "verify_model",
    "write_results",
]

# A name is imported when it is first used: `import pairdex` stays fast.
_MODULES = {
    "pairdex.client": "AsyncClient Client",
    "pairdex.collection": "Collection open",
    "pairdex.curate.dedup": "dedup",
    "pairdex.curate.pairs": "pairs",
    "pairdex.curate.remove": "remove",
    "pairdex.curate.score": "score",
    "pairdex.curate.shard": "join_shards shard",
    "pairdex.curate.subset": "subset",
    "pairdex.derived.atlas.make": "atlas",
    "pairdex.derived.index": "index",
    "pairdex.derived.info": "info",
    "pairdex.derived.projections.project": "project",
    "pairdex.derived.verify": "verify",
    "pairdex.downloads.catalogue": "releases",
    "pairdex.downloads.fetch": "fetch",
    "pairdex.encoders.encode": "encode",
    "pairdex.encoders.export.export": "export_model",
    "pairdex.encoders.fetch_model": "fetch_model",
    "pairdex.errors": "PairdexError",
    "pairdex.evaluation.bench": "bench",
    "pairdex.evaluation.evaluate": "evaluate",
    "pairdex.evaluation.recall": "recall",
    "pairdex.evaluation.results": "write_results",
    "pairdex.exports.formats": "export",
    "pairdex.exports.training.examples": "examples",
    "pairdex.follow.photos": "photos",
    "pairdex.knn.cosine": "Neighbours",
    "pairdex.metadata_sql.session": "sql",
    "pairdex.progress": "ProgressBar",
    "pairdex.reference.gold": "gold",
    "pairdex.reference.graph": "graph",
    "pairdex.reference.queries": "queries",
    "pairdex.search.hits": "Hits",
    "pairdex.search.query": "Query Term",
    "pairdex.sharing.pull": "pull",
    "pairdex.sharing.push": "push",
    "pairdex.store.build": "build",
    "pairdex.store.set_model": "set_model",
    "pairdex.store.verify_model": "verify_model",
    "pairdex.version": "__version__",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}
_HOME["load_ipython_extension"] = "pairdex.store.row_html"  # for `%load_ext pairdex`


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'pairdex' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
