"""Gold standards: the exact k nearest rows of queries, the reference for evaluations.

The file has SISAP's format: `knns` (n, k) int32, 1-based, and `dists` (n, k) float32. Distances are
1 - cos, or the projection's own. Attributes record the collection and the queries.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex import search
from pairdex.arguments import StrPath, checked
from pairdex.derived.codes import open_or_build_codes
from pairdex.derived.projections.files import Projection
from pairdex.derived.projections.models import ProjectionKind
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files.hdf5_tables import Value
from pairdex.files.query_files import Queries, query_set
from pairdex.files.result_files import writing_neighbours
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes
from pairdex.knn.torch_device import nearest_on_device
from pairdex.progress import Meter, Progress, StepProgress, at_step
from pairdex.reference.gold_block import find_on_cluster, nearest_rows
from pairdex.reference.measures import distance_of, rows_checksum
from pairdex.reference.self_gold import write_self_gold
from pairdex.store.manifest import MANIFEST
from pairdex.store.sharded import open_store
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.wording import counted

__all__ = [
    "DEFAULT_GOLD_K",
    "NEAR_DUPLICATE_DISTANCE",
    "GoldReport",
    "check_gold_wanted",
    "gold",
    "write_gold",
]

DEFAULT_GOLD_K = 100
NEAR_DUPLICATE_DISTANCE = 1e-4  # pictures nearer than this count as equal
# The same in projections: squared distance is 2 (1 - cos); equal sketches differ in 0 bits.
NEAR_DUPLICATES: dict[ProjectionKind, float] = {"pca": 2 * NEAR_DUPLICATE_DISTANCE, "hamming": 1}

MAX_GOLD_K = search.MAX_K - 1  # one extra neighbour, to detect ties

_QUERY_BLOCK = 1_000  # queries per batch, so that progress is reported
_BLOCK_NEIGHBOURS = 10_000_000  # neighbours per batch: 160 MB for any k


@dataclass(frozen=True)
class GoldReport:
    """Statistics of a gold standard.

    Attributes
    ----------
    n, k
        Number of queries, and of neighbours per query.
    ties
        Queries whose k-th and (k+1)-th neighbours are at equal distance. They have several correct
        answers.
    near_duplicates
        Queries with a row nearer than NEAR_DUPLICATE_DISTANCE, in projections NEAR_DUPLICATES. None for inner
        products, which say nothing of equal vectors.
    certified
        Whether an error bound proves that no row outside the answers is nearer, in the searched
        space.
    scanned, rechecked
        Query-row pairs bounded by 8-bit codes, and pairs compared in float64; 0 if all rows are queries,
        where they are not counted.
    """

    n: int
    k: int
    ties: int
    near_duplicates: int | None
    certified: bool
    scanned: int
    rechecked: int
    seconds: float


def check_gold_wanted(
    store: Store, out: Path, k: int, *, on: str, device: str | None = None
) -> VectorField | Projection:
    """Check all arguments before codes are built; return the opened search space.

    Raises
    ------
    InvalidArgument
        `out` is not a .h5 file; the collection lacks the vectors or the projection; the device
        cannot search them; k is below 1 or above the number of rows.
    """
    if out.suffix != ".h5":
        raise InvalidArgument(
            f"cannot write a gold standard to {out}: expected a name that ends in .h5", field="out"
        )
    space = search.open_space(store, on)
    if device is not None:
        store.check_cosine("a search on a device")
    if device is not None and isinstance(space, Projection):
        raise InvalidArgument(f"a device searches image or text, not {on}", field="device")
    if not 1 <= k <= MAX_GOLD_K:
        raise InvalidArgument(f"k is {k:,}, expected 1 to {MAX_GOLD_K:,}", field="k")
    rows = store.live_rows
    if k > rows:
        raise InvalidArgument(
            f"k is {k:,}, {store.path} has {counted(rows, 'row')}; a gold standard needs k rows",
            field="k",
        )
    return space


@checked
def gold(
    collection: StrPath,
    queries: StrPath | ArrayLike,
    out: StrPath,
    *,
    k: int = DEFAULT_GOLD_K,
    on: str = "image",
    device: str | None = None,
    use_codes: bool = True,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> GoldReport:
    """Find the exact k nearest rows of query vectors and write them as a gold standard.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    queries
        Query vectors (n, dim), or a file of them (.npy, .npz, .h5, .fvecs), or `FILE:NAME`. Or the
        collection itself: the k nearest other rows of every row, never the row itself.
    out
        The HDF5 file to write: `knns` (n, k) int32, 1-based, and `dists` (n, k) float32. A removed row
        has 0 and infinity.
    on
        image, text, or the name of a projection (pca96, hamming). Queries are projected too.
    device
        PyTorch device for the matrix products, e.g. `cuda`.
    use_codes
        Build and use codes. They speed up the search and give the same answer.
    cluster
        The address of a Ray cluster (host:port) whose nodes search for the queries, or `auto`. All nodes must
        see the collection's folder. Codes are built here.
    progress
        Called with the step, the amount done and the total.
    k
        Number of neighbours per query.

    Raises
    ------
    PairdexError
        A query or an argument is invalid, or the disk is full. No file is left behind.
    """
    store = open_store(Path(collection))
    space = check_gold_wanted(store, Path(out), k, on=on, device=device)
    if cluster is not None and device is not None:
        raise InvalidArgument(
            "the nodes of a cluster search without a device; leave out cluster", field="cluster"
        )
    if _is_collection(queries):
        _check_itself(store, queries, k, device)
        return _self_gold(
            Store(store.path),
            space,
            Path(out),
            k,
            use_codes=use_codes,
            cluster=cluster,
            progress=progress,
        )
    asked = query_set(queries)
    codes = None
    if use_codes and device is None and not isinstance(space, Projection):
        step = at_step(progress, "making codes")
        codes = open_or_build_codes(store, space, progress=step)
    return write_gold(
        store,
        asked,
        Path(out),
        k=k,
        on=on,
        codes=codes,
        device=device,
        cluster=cluster,
        progress=at_step(progress, "gold"),
    )


def _is_collection(queries: StrPath | ArrayLike) -> TypeGuard[StrPath]:
    return isinstance(queries, (str, os.PathLike)) and (Path(queries) / MANIFEST).is_file()


def _check_itself(store: Store, queries: StrPath, k: int, device: str | None) -> None:
    if Path(queries).resolve() != store.path.resolve():
        raise InvalidArgument(
            f"{queries} is another collection than {store.path}: expected the same, for the neighbours "
            "of all its rows, or a file of queries",
            field="queries",
        )
    store.check_cosine("a gold standard of all rows")
    if device is not None:
        raise InvalidArgument("a device searches for queries, not for all rows", field="device")
    if k >= store.live_rows:
        raise InvalidArgument(
            f"k is {k:,}, {store.path} has {counted(store.live_rows, 'row')}: each has {store.live_rows - 1:,} "
            "others",
            field="k",
        )


def _self_gold(
    store: Store,
    space: VectorField | Projection,
    out: Path,
    k: int,
    *,
    use_codes: bool,
    cluster: str | None,
    progress: Progress | None,
) -> GoldReport:
    """Write the gold standard of all rows."""
    facts = {
        **_attributes(store, Queries(np.empty((0, store.dim), np.float32), {}), k, space),
        "queries": store.live_rows,
        "queries_checksum": rows_checksum(store),
        "without_self": True,
    }
    found = write_self_gold(
        store,
        space,
        out,
        k,
        near=_near_rows(space),
        attributes=facts,
        use_codes=use_codes,
        cluster=cluster,
        progress=progress,
    )
    return GoldReport(
        n=found.n,
        k=k,
        ties=found.ties,
        near_duplicates=found.near_duplicates,
        certified=True,
        scanned=0,
        rechecked=0,
        seconds=found.seconds,
    )


def write_gold(
    store: Store,
    queries: Queries,
    out: Path,
    *,
    k: int = DEFAULT_GOLD_K,
    on: str = "image",
    codes: AnyCodes | None = None,
    device: str | None = None,
    cluster: str | None = None,
    progress: StepProgress | None = None,
) -> GoldReport:
    """Find the exact k nearest rows of each query and write them to `out`, block by block.

    Parameters
    ----------
    on
        image, text, or the name of a projection. Queries are projected if they are not yet.
    codes
        Codes of the searched vectors. They speed up the search and give the same answer.
    device
        PyTorch device for the matrix products, e.g. `cuda`.
    cluster
        The address of a Ray cluster whose nodes search, or `auto`.
    progress
        Called with the number of queries done and the total.

    Raises
    ------
    InvalidArgument, Mismatch, WriteFailed
        Raised as by `check_gold_wanted`; also if `queries` is empty or has another dimension, rows were removed during the search, or the disk is full.
    """
    space = check_gold_wanted(store, out, k, on=on, device=device)
    n = len(queries.vectors)
    if n == 0:
        raise InvalidArgument("there are no queries: a gold standard needs one", field="queries")
    started = time.perf_counter()
    duplicates = _near(store, space)
    counts = {"ties": 0, "near_duplicates": 0, "scanned": 0, "rechecked": 0}
    facts = _attributes(store, queries, k, space)
    texts = {} if queries.kinds is None else {"kind": np.char.encode(queries.kinds)}
    with writing_neighbours(out, (n, k), attributes=facts, texts=texts) as writer:
        meter = Meter(n, progress)
        blocks = _blocks(queries.vectors, k)
        near = partial(_nearest, store, space, codes=codes, device=device)
        found_blocks = (
            ((first, near(block, k + 1)) for first, block in blocks)
            if cluster is None
            else find_on_cluster(cluster, store, space, blocks, k + 1, use_codes=codes is not None)
        )
        for first, found in found_blocks:
            writer.write(first, found.ids[:, :k], found.distances[:, :k])
            _count(counts, found, k, duplicates)
            meter.advance(len(found.ids))
        if store.checksum != facts["collection_checksum"]:
            raise Mismatch(
                f"rows were removed from {store.path} meanwhile: run the same command again"
            )
        writer.set_attributes(
            {name: counts[name] for name in ("ties", "near_duplicates") if name in facts}
        )
    return GoldReport(
        n=n,
        k=k,
        ties=counts["ties"],
        near_duplicates=None if duplicates is None else counts["near_duplicates"],
        certified=True,
        scanned=counts["scanned"],
        rechecked=counts["rechecked"],
        seconds=time.perf_counter() - started,
    )


def _blocks(vectors: NDArray[Any], k: int) -> list[tuple[int, NDArray[Any]]]:
    """Divide queries into blocks: the place of the first, and the queries."""
    step = max(1, min(_QUERY_BLOCK, _BLOCK_NEIGHBOURS // (k + 1)))
    return [(first, vectors[first : first + step]) for first in range(0, len(vectors), step)]


def _nearest(
    store: Store,
    space: VectorField | Projection,
    queries: NDArray[Any],
    k: int,
    *,
    codes: AnyCodes | None,
    device: str | None,
) -> cosine.Neighbours:
    if device is None or isinstance(space, Projection):
        return nearest_rows(store, space, queries, k, codes=codes)
    blocks = store.vectors(space).blocks
    return nearest_on_device(blocks, queries, k, allowed=store.allowed(), device=device)


def _count(counts: dict[str, int], found: cosine.Neighbours, k: int, near: float | None) -> None:
    """Count ties and near-duplicates in the k + 1 neighbours of each query."""
    counts["ties"] += int(np.count_nonzero(found.distances[:, k - 1] == found.distances[:, k]))
    if near is not None:
        counts["near_duplicates"] += int(np.count_nonzero(found.distances[:, 0] < near))
    counts["scanned"] += found.report.scanned
    counts["rechecked"] += found.report.rechecked


def _near_rows(space: VectorField | Projection) -> float:
    """Return the distance below which two rows count as near-duplicates."""
    return NEAR_DUPLICATES[space.kind] if isinstance(space, Projection) else NEAR_DUPLICATE_DISTANCE


def _near(store: Store, space: VectorField | Projection) -> float | None:
    """Return the same for a query and a row; None if no distance says so."""
    if store.metric == "ip":
        return None
    if isinstance(space, Projection) and (space.kind, space.record.method) == ("pca", "joint"):
        return None  # queries and rows have other coordinates
    return _near_rows(space)


def _attributes(
    store: Store, queries: Queries, k: int, space: VectorField | Projection
) -> dict[str, Value]:
    """Return the file's attributes; ties and near-duplicates are counted later."""
    kind = queries.facts.get("kind")
    said: dict[str, Value] = {} if kind is None else {"kind": kind}
    return {
        "collection": store.name,
        "collection_checksum": store.checksum,
        "rows": store.live_rows,
        "ids": store.rows,  # the largest id + 1; removed rows keep their ids
        **_measure(store, space),
        "queries": len(queries.vectors),
        "queries_checksum": queries.checksum,
        **said,
        "k": k,
        "normalised": store.metric == "cosine",
        "ties": 0,
        **({} if _near(store, space) is None else {"near_duplicates": 0}),
        "certified": True,
        "created_by": f"pairdex {__version__}",
    }


def _measure(store: Store, space: VectorField | Projection) -> dict[str, Value]:
    if not isinstance(space, Projection):
        distance = distance_of(store, space)
        return {"on": space, "distance": distance, "dtype": "float64, stored as float32"}
    exact = "integers" if space.kind == "hamming" else "float64"
    return {
        "on": space.name,
        "model_checksum": space.record.model.checksum,
        "distance": distance_of(store, space),
        "dtype": f"{exact}, stored as float32",
    }
