"""The package's functions: each is what the command of the same name does."""

from pairdex.api.collections import build, open  # noqa: A004 - pairdex.open, as gzip.open
from pairdex.api.curation import dedup, remove, sql, subset
from pairdex.api.exchange import export, fetch, releases
from pairdex.api.indexes import index
from pairdex.api.projections import project

__all__ = [
    "build",
    "dedup",
    "export",
    "fetch",
    "index",
    "open",
    "project",
    "releases",
    "remove",
    "sql",
    "subset",
]
