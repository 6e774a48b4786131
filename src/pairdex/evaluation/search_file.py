"""Search a collection for every vector in a file, and write the results to files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from pairdex.collection import Collection
from pairdex.derived.codes import codes_path
from pairdex.errors import InvalidArgument
from pairdex.evaluation.provenance import algorithm, answered_by, facts_of, settings
from pairdex.evaluation.search_on_cluster import check_on_folder, nearest_on_cluster
from pairdex.files.hdf5_tables import Value
from pairdex.files.query_files import read_query_set
from pairdex.files.result_files import check_suffix, write_results, write_table
from pairdex.knn.cosine import Neighbours, Report
from pairdex.progress import Progress
from pairdex.search import DEFAULT_K, Hits, check_k
from pairdex.search.options import SearchOptions
from pairdex.store.fields import VectorField

__all__ = ["FileSearch", "search_file", "write_hits"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class FileSearch:
    """The neighbours of the vectors in a file, and the search report.

    Attributes
    ----------
    ids, distances
        Shape (n, k), nearest first; -1 and infinity if fewer than k rows qualify.
    seconds
        The search time only.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.float32]
    report: Report
    seconds: float


def search_file(
    collection: Collection,
    vectors: str | Path,
    *,
    k: int = DEFAULT_K,
    on: str = "image",
    where: str | None = None,
    safe: bool = False,
    exact: bool = False,
    recall: float | None = None,
    out: Path | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> FileSearch:
    """Find the k nearest rows of each vector in a file.

    Parameters
    ----------
    vectors
        .npy, .npz, .h5 or .fvecs; `FILE:NAME` picks an array.
    where, safe, exact, recall
        As `Collection.search` takes them.
    out
        A result file to write: SISAP's .h5, or .parquet.
    cluster
        The address of a Ray cluster (host:port) whose nodes search, or `auto`. All nodes must see the
        collection's folder. Codes are built here.

    Raises
    ------
    PairdexError
        A file or a value is invalid, or the disk is full.
    """
    if out is not None:
        check_suffix(out)
    check_k(k)
    if cluster is not None:
        check_on_folder(collection)
    queries = read_query_set(vectors)
    options = {"safe": safe, "exact": exact, "recall": recall}
    asked = _Asked(collection, k, on, where, options, cluster)
    found, search_seconds, build_seconds = asked.search(queries.vectors, progress)
    search = FileSearch(found.ids, found.distances.astype(np.float32), found.report, search_seconds)
    if out is not None:
        seconds = {"querytime": search_seconds, "buildtime": build_seconds}
        about = {"queries_checksum": queries.checksum}
        asked.write(out, search.ids, search.distances, search.report, seconds=seconds, about=about)
    return search


def write_hits(
    path: Path,
    hits: Hits,
    *,
    collection: Collection,
    on: str,
    seconds: float,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Write one query's hits as a SISAP result file (.h5) or with metadata (.parquet).

    Parameters
    ----------
    collection
        The searched collection.
    seconds
        The search time.
    options
        The other options of the search: `where`, `safe`, `recall`, `keywords`, …

    Raises
    ------
    InvalidArgument, WriteFailed
        The suffix is unknown, the hits have no distances, the disk is full, or permission is denied.
    """
    check_suffix(path)
    options = dict(options or {})
    asked = _Asked(collection, options.pop("k", len(hits)), on, options.pop("where", None), options)
    if path.suffix == ".parquet":
        facts = asked.facts(hits.report, 1)
        metadata = {**(hits.table.schema.metadata or {}), "pairdex": json.dumps(facts)}
        write_table(path, hits.table.replace_schema_metadata(metadata))
        return
    if hits.report.total is not None:
        raise InvalidArgument(
            f"{path} needs distances, and a search without a query has none: write a .parquet file",
            field="out",
        )
    ids = np.asarray(hits.table["id"], np.int64)[None, :]
    distances = np.asarray(hits.table["distance"], np.float32)[None, :]
    asked.write(path, ids, distances, hits.report, seconds={"querytime": seconds}, about={})


@dataclass(frozen=True)
class _Asked:
    """A search, and how a file names it."""

    collection: Collection
    k: int
    on: str
    where: str | None
    options: dict[str, Any]
    cluster: str | None = None

    def search(
        self, vectors: NDArray[Any], progress: Progress | None
    ) -> tuple[Neighbours, float, float | None]:
        """Return what was found, the search time, and the build time if it is known, in seconds."""
        before = self._stamp()
        exact, prepare = self.options["exact"], self.collection.prepare
        _, build = _timed(lambda: prepare(self.on, exact=exact, progress=progress))
        prepared = self._stamp()
        found, seconds = _timed(lambda: self._nearest(vectors, progress))
        if self._stamp() != prepared:  # the search made codes, which is not part of its time
            both = seconds
            found, seconds = _timed(lambda: self._nearest(vectors, progress))
            build += both - seconds
        is_built = self._stamp() != before
        return found, seconds, _build_seconds(found.report, build if is_built else None)

    def _nearest(self, vectors: NDArray[Any], progress: Progress | None) -> Neighbours:
        options = SearchOptions(k=self.k, on=self.on, where=self.where, **self.options)
        if self.cluster is None:
            return self.collection.finder.nearest(vectors, options)
        return nearest_on_cluster(
            self.cluster, self.collection, vectors, options, progress=progress
        )

    def _stamp(self) -> tuple[int, int] | None:
        """Return what identifies the file of codes; None if there is none."""
        if self.on not in get_args(VectorField):
            return None
        try:
            status = codes_path(self.collection.path, cast("VectorField", self.on)).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def params(self, report: Report, n_queries: int) -> str:
        shown = settings(report, n_queries, k=self.k, on=self.on, where=self.where)
        named = {"exact", "recall"}  # `settings` says what came of these
        others = {key: value for key, value in self.options.items() if value and key not in named}
        return " ".join([shown, *(f"{key}={value}" for key, value in others.items())])

    def facts(self, report: Report, n_queries: int) -> dict[str, Value]:
        return {
            "collection_checksum": self.collection.checksum,
            "params": self.params(report, n_queries),
            **facts_of(report, n_queries),
        }

    def write(
        self,
        out: Path,
        ids: NDArray[np.int64],
        distances: NDArray[np.float32],
        report: Report,
        *,
        seconds: Mapping[str, float | None],
        about: Mapping[str, Value],
    ) -> None:
        facts = self.facts(report, len(ids))
        attributes: dict[str, Value] = {
            "data": self.collection.name,
            "size": len(self.collection),
            "algo": algorithm(report.answered, len(ids)),
            "params": str(facts.pop("params")),
            **{name: value for name, value in seconds.items() if value is not None},
        }
        write_results(
            out,
            ids,
            distances,
            attributes=attributes,
            about={**about, **facts},
            answered_by=answered_by(report, len(ids)),
        )


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def _build_seconds(report: Report, codes_seconds: float | None) -> float | None:
    """Return the time to build what answered; None if it was built earlier and is not recorded."""
    if report.answered.by != "exact":
        return report.answered.build_seconds
    return codes_seconds if report.scanned else 0.0
