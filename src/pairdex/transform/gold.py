"""Gold standards: the exact k nearest rows of queries, kept as the reference for evaluations.

The file is SISAP's: `knns` (n, k) int32, 1-based, and `dists` (n, k) float32 = 1 - cos, with attributes
that say what it was made from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex import search
from pairdex.codes import Codes
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn_torch import nearest_on_device
from pairdex.result_files import write_results
from pairdex.store.store import Kind, Store
from pairdex.version import __version__

__all__ = ["DEFAULT_GOLD_K", "NEAR_DUPLICATE_DISTANCE", "GoldReport", "gold"]

DEFAULT_GOLD_K = 100
NEAR_DUPLICATE_DISTANCE = 1e-4  # nearer than this, two pictures are taken for the same

_QUERY_BLOCK = 1_000  # queries searched at once, for progress and flat memory


@dataclass(frozen=True)
class GoldReport:
    """What a gold standard says of itself.

    Attributes
    ----------
    n, k
        Number of queries, and of neighbours of each.
    ties
        Queries whose k-th and (k+1)-th neighbours are equally far: another answer is as right.
    near_duplicates
        Queries with a row nearer than NEAR_DUPLICATE_DISTANCE.
    certified
        Whether no row outside the answers can be nearer, by an inequality.
    scanned, rechecked
        Pairs of query and row that were bounded by 8-bit codes, and compared in float64.
    """

    n: int
    k: int
    ties: int
    near_duplicates: int
    certified: bool
    scanned: int
    rechecked: int
    seconds: float


def gold(
    store: Store,
    queries: NDArray[np.float32],
    out: Path,
    *,
    k: int = DEFAULT_GOLD_K,
    on: Kind = "image",
    codes: Codes | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GoldReport:
    """Find the exact k nearest rows of each query and write them to `out`.

    Parameters
    ----------
    queries
        Shape (n, dim).
    codes
        Of the vectors that are searched: the same answer, sooner.
    device
        A device of PyTorch that does the products instead: `cuda`.
    progress
        Called with the queries done and the queries in all.

    Raises
    ------
    InvalidArgument, Mismatch, WriteFailed
        A k below 1 or of more rows than there are, queries of another dimension, rows that were
        removed meanwhile, no room.
    """
    if out.suffix != ".h5":
        raise InvalidArgument(
            f"cannot write a gold standard to {out}: expected a name that ends in .h5", field="out"
        )
    search.check_k(k)
    rows, checksum = store.live_rows, store.checksum
    if k > rows:
        raise InvalidArgument(
            f"k is {k:,}, {store.path} has {rows:,} rows; a gold standard needs k rows",
            field="k",
        )
    started = time.perf_counter()
    ids, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    ties = near = scanned = rechecked = 0
    for first in range(0, len(queries), _QUERY_BLOCK):
        block = queries[first : first + _QUERY_BLOCK]
        if device is None:
            found = search.nearest(store, block, k + 1, on=on, codes=codes)
        else:
            found = nearest_on_device(
                store.vectors(on).blocks, block, k + 1, allowed=store.allowed(), device=device
            )
        ids[first : first + len(block)] = found.ids[:, :k]
        distances[first : first + len(block)] = found.distances[:, :k]
        ties += int(np.count_nonzero(found.distances[:, k - 1] == found.distances[:, k]))
        near += int(np.count_nonzero(found.distances[:, 0] < NEAR_DUPLICATE_DISTANCE))
        scanned += found.report.scanned
        rechecked += found.report.rechecked
        if progress:
            progress(first + len(block), len(queries))
    report = GoldReport(
        n=len(queries),
        k=k,
        ties=ties,
        near_duplicates=near,
        certified=True,
        scanned=scanned,
        rechecked=rechecked,
        seconds=time.perf_counter() - started,
    )
    if store.checksum != checksum:
        raise Mismatch(f"rows were removed from {store.path} meanwhile: run the same command again")
    write_results(out, ids, distances, attributes=_attributes(store, report, on))
    return report


def _attributes(store: Store, report: GoldReport, on: Kind) -> dict[str, str | int | float]:
    return {
        "collection": store.manifest.name,
        "collection_checksum": store.checksum,
        "rows": store.live_rows,
        "on": on,
        "k": report.k,
        "distance": "1 - cos",
        "normalised": True,
        "dtype": "float64, stored as float32",
        "ties": report.ties,
        "near_duplicates": report.near_duplicates,
        "certified": report.certified,
        "created_by": f"pairdex {__version__}",
    }
