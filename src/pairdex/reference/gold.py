"""Gold standards: the exact k nearest rows of queries, kept as the reference for evaluations.

The file is SISAP's: `knns` (n, k) int32, 1-based, and `dists` (n, k) float32 = 1 - cos, or a projection's
distance, with attributes that say what it was made from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex import search
from pairdex.arguments import StrPath, checked
from pairdex.derived.codes import open_or_build_codes
from pairdex.derived.projections.files import Projection
from pairdex.derived.projections.models import ProjectionKind
from pairdex.derived.projections.search import MEASURES
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files.hdf5_tables import Value
from pairdex.files.query_files import Queries, query_set
from pairdex.files.result_files import writing_neighbours
from pairdex.knn import cosine
from pairdex.knn.codes import Codes
from pairdex.knn.torch_device import nearest_on_device
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__

__all__ = [
    "DEFAULT_GOLD_K",
    "NEAR_DUPLICATE_DISTANCE",
    "GoldReport",
    "check_gold_wanted",
    "gold",
    "write_gold",
]

DEFAULT_GOLD_K = 100
NEAR_DUPLICATE_DISTANCE = 1e-4  # nearer than this, two pictures are taken for the same
# The same in projections: unit vectors are 2 (1 - cos) apart, squared; sketches have no bit that differs.
NEAR_DUPLICATES: dict[ProjectionKind, float] = {"pca": 2 * NEAR_DUPLICATE_DISTANCE, "hamming": 1}

MAX_GOLD_K = search.MAX_K - 1  # one neighbour more is looked at, for ties

_QUERY_BLOCK = 1_000  # queries searched at once, for progress
_BLOCK_NEIGHBOURS = 10_000_000  # neighbours found at once: 160 MB, however large k is


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
        Queries with a row nearer than NEAR_DUPLICATE_DISTANCE, in projections NEAR_DUPLICATES.
    certified
        Whether no row outside the answers can be nearer, by an inequality; in the space searched.
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


def check_gold_wanted(
    store: Store, out: Path, k: int, *, on: str, device: str | None = None
) -> VectorField | Projection:
    """Refuse what cannot end well, before codes are made; return what is searched, opened.

    Raises
    ------
    InvalidArgument
        No .h5; vectors or a projection that the collection has not, or that no device searches; a k
        below 1 or of more rows than there are.
    """
    if out.suffix != ".h5":
        raise InvalidArgument(
            f"cannot write a gold standard to {out}: expected a name that ends in .h5", field="out"
        )
    space = search.open_space(store, on)
    if device is not None and isinstance(space, Projection):
        raise InvalidArgument(f"a device searches image or text, not {on}", field="device")
    if not 1 <= k <= MAX_GOLD_K:
        raise InvalidArgument(f"k is {k:,}, expected 1 to {MAX_GOLD_K:,}", field="k")
    rows = store.live_rows
    if k > rows:
        raise InvalidArgument(
            f"k is {k:,}, {store.path} has {rows:,} rows; a gold standard needs k rows",
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
    progress: Progress | None = None,
) -> GoldReport:
    """Find the exact k nearest rows of query vectors and write them as a gold standard.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    queries
        Query vectors (n, dim), or a file of them (.npy, .npz, .h5, .fvecs), or `FILE:NAME`.
    out
        The HDF5 file: `knns` (n, k) int32 from 1, `dists` (n, k) float32.
    on
        image, text, or the name of a projection (pca96, hamming), in which queries are projected too.
    device
        A device of PyTorch that does the products instead: `cuda`.
    use_codes
        Whether codes are made and used: the same answer, sooner.
    progress
        Called with the step, what is done of it, and the whole.
    k
        How many neighbours count.

    Raises
    ------
    PairdexError
        Bad queries or arguments; no room. No file is left.
    """
    store = Store(Path(collection))
    space = check_gold_wanted(store, Path(out), k, on=on, device=device)
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
        progress=at_step(progress, "gold"),
    )


def write_gold(
    store: Store,
    queries: Queries,
    out: Path,
    *,
    k: int = DEFAULT_GOLD_K,
    on: str = "image",
    codes: Codes | None = None,
    device: str | None = None,
    progress: StepProgress | None = None,
) -> GoldReport:
    """Find the exact k nearest rows of each query and write them to `out`, block by block.

    Parameters
    ----------
    on
        image, text, or the name of a projection; queries are projected, unless they are already.
    codes
        Of the vectors that are searched: the same answer, sooner.
    device
        A device of PyTorch that does the products instead: `cuda`.
    progress
        Called with the queries done and the queries in all.

    Raises
    ------
    InvalidArgument, Mismatch, WriteFailed
        As `check_gold_wanted`; no queries, or of another dimension; rows that were removed
        meanwhile; no room.
    """
    space = check_gold_wanted(store, out, k, on=on, device=device)
    n = len(queries.vectors)
    if n == 0:
        raise InvalidArgument("there are no queries: a gold standard needs one", field="queries")
    started = time.perf_counter()
    counts = {"ties": 0, "near_duplicates": 0, "scanned": 0, "rechecked": 0}
    facts = _attributes(store, queries, k, space)
    kinds = None if queries.kinds is None else np.char.encode(queries.kinds)
    with writing_neighbours(out, (n, k), attributes=facts, kinds=kinds) as writer:
        step = max(1, min(_QUERY_BLOCK, _BLOCK_NEIGHBOURS // (k + 1)))
        for first in range(0, n, step):
            block = queries.vectors[first : first + step]
            found = _nearest(store, space, block, k + 1, codes=codes, device=device)
            writer.write(first, found.ids[:, :k], found.distances[:, :k])
            _count(counts, found, k, space)
            if progress:
                progress(first + len(block), n)
        if store.checksum != facts["collection_checksum"]:
            raise Mismatch(
                f"rows were removed from {store.path} meanwhile: run the same command again"
            )
        writer.set_attributes({name: counts[name] for name in ("ties", "near_duplicates")})
    return GoldReport(n=n, k=k, certified=True, seconds=time.perf_counter() - started, **counts)


def _nearest(
    store: Store,
    space: VectorField | Projection,
    queries: NDArray[Any],
    k: int,
    *,
    codes: Codes | None,
    device: str | None,
) -> cosine.Neighbours:
    if isinstance(space, Projection):
        return search.nearest_in_space(store, space, queries, k)
    if device is None:
        return search.nearest(store, queries, k, on=space, codes=codes)
    blocks = store.vectors(space).blocks
    return nearest_on_device(blocks, queries, k, allowed=store.allowed(), device=device)


def _count(
    counts: dict[str, int], found: cosine.Neighbours, k: int, space: VectorField | Projection
) -> None:
    """Count what k + 1 neighbours of each query say beside the k."""
    near = NEAR_DUPLICATES[space.kind] if isinstance(space, Projection) else NEAR_DUPLICATE_DISTANCE
    counts["ties"] += int(np.count_nonzero(found.distances[:, k - 1] == found.distances[:, k]))
    counts["near_duplicates"] += int(np.count_nonzero(found.distances[:, 0] < near))
    counts["scanned"] += found.report.scanned
    counts["rechecked"] += found.report.rechecked


def _attributes(
    store: Store, queries: Queries, k: int, space: VectorField | Projection
) -> dict[str, Value]:
    """Return what the file says of itself; ties and near-duplicates are counted later."""
    kind = queries.facts.get("kind")
    said: dict[str, Value] = {} if kind is None else {"kind": kind}
    return {
        "collection": store.manifest.name,
        "collection_checksum": store.checksum,
        "rows": store.live_rows,
        "ids": store.rows,  # one more than the largest there is: removed rows keep theirs
        **_measure(space),
        "queries": len(queries.vectors),
        "queries_checksum": queries.checksum,
        **said,
        "k": k,
        "normalised": True,
        "ties": 0,
        "near_duplicates": 0,
        "certified": True,
        "created_by": f"pairdex {__version__}",
    }


def _measure(space: VectorField | Projection) -> dict[str, Value]:
    if not isinstance(space, Projection):
        return {"on": space, "distance": "1 - cos", "dtype": "float64, stored as float32"}
    exact = "integers" if space.kind == "hamming" else "float64"
    return {
        "on": space.name,
        "model_checksum": space.record.model.checksum,
        "distance": MEASURES[space.kind],
        "dtype": f"{exact}, stored as float32",
    }
