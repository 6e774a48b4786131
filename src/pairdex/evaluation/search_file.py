"""Search a collection for every vector in a file, and write the results to files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.files.query_files import read_query_set
from pairdex.files.result_files import check_suffix, write_results, write_table
from pairdex.knn.cosine import Report
from pairdex.progress import Progress
from pairdex.search import DEFAULT_K, Hits, check_k

__all__ = ["FileSearch", "search_file", "write_hits"]


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

    Raises
    ------
    PairdexError
        A file or a value is invalid, or the disk is full.
    """
    if out is not None:
        check_suffix(out)
    check_k(k)
    queries = read_query_set(vectors)
    collection.prepare(on, exact=exact, progress=progress)
    started = time.perf_counter()
    found = collection.nearest(
        queries.vectors, k, on=on, where=where, safe=safe, exact=exact, recall=recall
    )
    seconds = time.perf_counter() - started
    search = FileSearch(found.ids, found.distances.astype(np.float32), found.report, seconds)
    if out is not None:
        attributes: dict[str, str | int | float] = {
            "data": collection.name,
            "size": len(collection),
            "algo": _algorithm(found.report, on),
            "buildtime": 0.0,
            "querytime": seconds,
            "params": f"k={k} on={on}" + (f" where={where}" if where else ""),
        }
        about = {
            "collection_checksum": collection.checksum,
            "queries_checksum": queries.checksum,
        }
        write_results(out, search.ids, search.distances, attributes=attributes, about=about)
    return search


def write_hits(path: Path, hits: Hits, *, on: str, seconds: float) -> None:
    """Write one query's hits as a SISAP result file (.h5) or with metadata (.parquet).

    Raises
    ------
    InvalidArgument, WriteFailed
        The suffix is unknown, the hits have no distances, the disk is full, or permission is denied.
    """
    check_suffix(path)
    if path.suffix == ".parquet":
        write_table(path, hits.table)
        return
    if hits.report.total is not None:
        raise InvalidArgument(
            f"{path} needs distances, and a search without a query has none: write a .parquet file",
            field="out",
        )
    attributes: dict[str, str | int | float] = {
        "algo": _algorithm(hits.report, on),
        "querytime": seconds,
        "params": f"on={on}",
    }
    ids = np.asarray(hits.table["id"], np.int64)[None, :]
    distances = np.asarray(hits.table["distance"], np.float32)[None, :]
    write_results(path, ids, distances, attributes=attributes)


def _algorithm(report: Report, on: str) -> str:
    if report.recall is not None:
        return "pairdex ivf"
    return "pairdex exact" if report.exact else f"pairdex {on}"
