"""Draw queries from a collection by SISAP's 2023 rule: no ties at k = 10, no near-duplicates.

The rule draws 2n rows at random. It keeps a row if its 10th and 11th neighbours are at different
distances and the distances to its 10 nearest rows sum to more than 0.1. The first n kept rows
become the queries. If 2n rows yield fewer than n queries, the rule draws more rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.derived.codes import open_or_build_codes
from pairdex.errors import InvalidArgument, Mismatch, PairdexError
from pairdex.files import atomic
from pairdex.files.hdf5 import dataset_at, open_hdf5
from pairdex.files.hdf5_tables import TableWriter, Value
from pairdex.files.query_files import QUERIES_NAME
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes
from pairdex.knn.distance import normalise
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.sharded import open_store
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.wording import counted

__all__ = [
    "DEFAULT_N",
    "QueriesReport",
    "check_queries_wanted",
    "draw_queries",
    "queries",
    "searched_kind",
]

DEFAULT_N = 10_000
RULE = "sisap-2023: d[10] != d[11] and sum(d[1:10]) > 0.1"
_RULE_K, _RULE_SUM = 10, 0.1
DISTINCT_DISTANCE = 1e-4  # queries nearer than this count as equal

_KEPT, _TIE, _NEAR, _REPEATED = range(4)  # the verdict on a row

_BLOCK = 1_000  # rows checked in one batch
_SCARCE = 4  # list the remaining rows once fewer than 1 in _SCARCE are left


@dataclass(frozen=True)
class QueriesReport:
    """Statistics of drawing queries.

    Attributes
    ----------
    n
        Number of queries.
    drawn
        Number of rows checked.
    ties, near_duplicates, repeated
        Rows left out, by reason: 10th and 11th neighbours at equal distance, neighbours too near,
        or (with `distinct`) too near a query already taken.
    k
        The neighbour at which the rule looks for ties.
    certified
        Whether all neighbours that the rule looked at are proven to be the nearest.
    """

    n: int
    drawn: int
    ties: int
    near_duplicates: int
    repeated: int
    k: int
    certified: bool
    seconds: float


def check_queries_wanted(
    store: Store, out: Path, n: int, *, on: VectorField, against: Store
) -> None:
    """Check all arguments before any work starts.

    Raises
    ------
    InvalidArgument, Mismatch
        `out` is not a .h5 file; n is below 1 or above the number of rows; the database has another
        dimension or too few rows.
    """
    if out.suffix != ".h5":
        raise InvalidArgument(
            f"cannot write queries to {out}: expected a name that ends in .h5", field="out"
        )
    store.check_kind(on)
    against.check_cosine("the rule for queries")
    rows = store.live_rows
    if not 1 <= n <= rows:
        raise InvalidArgument(
            f"n is {n:,}, {store.path} has {counted(rows, 'row')}: expected 1 to {rows:,}",
            field="n",
        )
    if against.dim != store.dim:
        raise Mismatch(
            f"{store.path} has vectors of {store.dim} dimensions, {against.path} of {against.dim}: "
            "queries are searched in a collection of their own model"
        )
    others = against.live_rows - (against.path == store.path)
    if others <= _RULE_K:
        raise InvalidArgument(
            f"{against.path} has {counted(others, 'row')} to compare with: the rule for queries looks at "
            f"{_RULE_K + 1} neighbours",
            field="against",
        )


@checked
def queries(
    collection: StrPath,
    out: StrPath,
    n: int = DEFAULT_N,
    *,
    on: VectorField = "image",
    seed: int = 0,
    distinct: bool = False,
    against: StrPath | None = None,
    use_codes: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> QueriesReport:
    """Draw n queries from a collection by SISAP's 2023 rule and write them to an HDF5 file.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    out
        The file to write: `emb` (n, dim) float16, and `ids` (n,) int64, the ids of the drawn rows.
    on
        Vectors to draw as queries: image or text. They are compared with the database's image
        vectors.
    seed
        Random seed. The same seed draws the same rows.
    distinct
        Leave out rows nearer than 1e-4 to a query already taken.
    against
        The collection to search, if it is not `collection`.
    use_codes
        Build and use codes. They speed up the search and give the same answer.
    force
        Replace `out` if it holds something else: gold standards and results of its queries are then
        of others.
    progress
        Called with the step, the amount done and the total.
    n
        Number of queries to draw.

    Raises
    ------
    PairdexError
        Fewer than n rows satisfy the rule, an argument is invalid, or the disk is full. No file is
        left behind.
    """
    if seed < 0:
        raise InvalidArgument(f"the seed is {seed}, expected at least 0", field="seed")
    store = open_store(Path(collection))
    database = store if against is None else open_store(Path(against))
    check_queries_wanted(store, Path(out), n, on=on, against=database)
    wanted = _attributes(store, database, on, seed, distinct=distinct)
    if Path(out).exists() and not force and not _holds(Path(out), n, wanted):
        raise InvalidArgument(
            f"{out} exists, and gold standards may be of its queries: write to another file, or "
            "replace it with --force",
            field="out",
        )
    codes = None
    if use_codes:
        step = at_step(progress, "making codes")
        codes = open_or_build_codes(database, searched_kind(database), progress=step)
    return draw_queries(
        store,
        Path(out),
        n,
        on=on,
        seed=seed,
        distinct=distinct,
        against=database,
        codes=codes,
        progress=at_step(progress, "queries"),
    )


def draw_queries(
    store: Store,
    out: Path,
    n: int = DEFAULT_N,
    *,
    on: VectorField = "image",
    seed: int = 0,
    distinct: bool = False,
    against: Store | None = None,
    codes: AnyCodes | None = None,
    progress: StepProgress | None = None,
) -> QueriesReport:
    """Draw n queries from a collection and write them to `out`.

    Parameters
    ----------
    on
        Vectors to draw as queries. They are compared with the database's image vectors if it has
        any.
    distinct
        Leave out rows nearer than DISTINCT_DISTANCE to a query already taken.
    against
        The database to search. The default is the collection itself; a row is then not its own
        neighbour.
    codes
        Codes of the database's vectors. They speed up the search and give the same answer.
    progress
        Called with the number of queries found and n.

    Raises
    ------
    InvalidArgument, Mismatch, WriteFailed
        Raised as by `check_queries_wanted`; also if fewer than n rows satisfy the rule or the disk
        is full.
    """
    database = against or store
    check_queries_wanted(store, out, n, on=on, against=database)
    started = time.perf_counter()
    rule = _Rule(database, codes, itself=database.path == store.path)
    view = store.vectors(on)
    verdicts, taken, vectors = [], np.empty(0, np.int64), np.empty((0, store.dim), np.float16)
    for ids in _draws(store.rows, seed, store.allowed(), at_once=min(2 * n, _BLOCK)):
        block = view[ids]
        verdict = rule.verdict(block, ids)
        if distinct:
            _mark_repeated(verdict, block, vectors)
        end = _end(verdict, n - len(taken))
        verdicts.append(verdict[:end])
        kept = np.flatnonzero(verdict[:end] == _KEPT)
        taken, vectors = np.append(taken, ids[kept]), np.concatenate([vectors, block[kept]])
        if progress:
            progress(len(taken), n)
        if len(taken) == n:
            break
    counts = np.bincount(np.concatenate(verdicts), minlength=4)
    report = QueriesReport(
        n=len(taken),
        drawn=int(counts.sum()),
        ties=int(counts[_TIE]),
        near_duplicates=int(counts[_NEAR]),
        repeated=int(counts[_REPEATED]),
        k=_RULE_K,
        certified=rule.certified,
        seconds=time.perf_counter() - started,
    )
    _check_enough(store, report, n)
    _write(out, vectors, taken, _attributes(store, database, on, seed, distinct=distinct))
    return report


def searched_kind(database: Store) -> VectorField:
    """Return the vectors to compare queries with: image vectors if the database has them."""
    return "image" if "image" in database.manifest.vectors else "text"


@dataclass
class _Rule:
    """SISAP's rule over a database's vectors. Set `itself` if the queries are rows of it."""

    database: Store
    codes: AnyCodes | None
    itself: bool
    certified: bool = True  # so far

    def verdict(self, vectors: NDArray[np.float16], ids: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return the verdict on each row, (b,): kept, or the reason for leaving it out."""
        distances = self._distances(vectors, ids)
        verdict = np.full(len(ids), _KEPT, np.int8)
        # A gold standard stores float32, so equality is tested in float32.
        near = distances.astype(np.float32)
        verdict[near[:, _RULE_K - 1] == near[:, _RULE_K]] = _TIE
        verdict[distances[:, :_RULE_K].sum(axis=1) <= _RULE_SUM] = _NEAR
        return verdict

    def _distances(
        self, vectors: NDArray[np.float16], ids: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the distances to the 11 nearest other rows, (b, 11)."""
        blocks = self.database.vectors(searched_kind(self.database)).blocks
        k = _RULE_K + 1 + self.itself
        found = cosine.nearest(
            blocks,
            vectors.astype(np.float32),
            k,
            allowed=self.database.allowed(),
            codes=self.codes,
        )
        self.certified = self.certified and found.report.certified
        if not self.itself:
            return found.distances
        is_it = found.ids == ids[:, None]
        at = np.where(is_it.any(axis=1), is_it.argmax(axis=1), k - 1)
        others = np.arange(k) != at[:, None]
        return np.asarray(found.distances[others].reshape(len(ids), k - 1))


def _draws(
    rows: int, seed: int, allowed: NDArray[np.bool_] | None, *, at_once: int
) -> Iterator[NDArray[np.int64]]:
    """Yield all allowed rows in random order, in blocks; use one byte of memory per row."""
    random = np.random.default_rng(seed)
    is_left = np.ones(rows, np.bool_) if allowed is None else allowed.copy()
    left = int(np.count_nonzero(is_left))
    while left > rows // _SCARCE:
        ids = random.integers(rows, size=at_once)
        _, firsts = np.unique(ids, return_index=True)
        ids = ids[np.sort(firsts)]
        ids = ids[is_left[ids]]
        is_left[ids] = False
        left -= len(ids)
        yield ids
    rest = random.permutation(np.flatnonzero(is_left))
    for first in range(0, len(rest), at_once):
        yield rest[first : first + at_once]


def _mark_repeated(
    verdict: NDArray[np.int8], block: NDArray[np.float16], taken: NDArray[np.float16]
) -> None:
    """Mark kept rows that are too near an earlier taken or kept row."""
    kept = np.flatnonzero(verdict == _KEPT)
    rows = normalise(block[kept])
    is_repeated = np.zeros(len(kept), np.bool_)
    for first in range(0, len(taken), _BLOCK):
        cosines = rows @ normalise(taken[first : first + _BLOCK]).T
        is_repeated |= (1 - cosines < DISTINCT_DISTANCE).any(axis=1)
    near = np.tril(1 - rows @ rows.T < DISTINCT_DISTANCE, k=-1)
    for row in np.flatnonzero(near.any(axis=1)):  # in order: only kept rows exclude later ones
        is_repeated[row] |= bool((near[row] & ~is_repeated).any())
    verdict[kept[is_repeated]] = _REPEATED


def _end(verdict: NDArray[np.int8], wanted: int) -> int:
    """Return how many rows to check in order to keep the wanted number."""
    kept = np.flatnonzero(verdict == _KEPT)
    return int(kept[wanted - 1]) + 1 if len(kept) >= wanted else len(verdict)


def _check_enough(store: Store, report: QueriesReport, n: int) -> None:
    if report.n < n:
        raise InvalidArgument(
            f"{store.path} has {counted(report.n, 'row')} that can be queries, {n:,} were asked for: of "
            f"{report.drawn:,} drawn {report.ties:,} have ties at {_RULE_K}, "
            f"{report.near_duplicates:,} near-duplicates, {report.repeated:,} repeat another",
            field="n",
        )


def _write(
    out: Path,
    vectors: NDArray[np.float16],
    ids: NDArray[np.int64],
    attributes: dict[str, Value],
) -> None:
    tables = {QUERIES_NAME: (vectors.shape, np.float16), "ids": (ids.shape, np.int64)}
    with atomic.replacing(out) as file:
        writer = TableWriter(file, tables, attributes=attributes)
        writer.write(QUERIES_NAME, 0, vectors)
        writer.write("ids", 0, ids)


def _holds(path: Path, n: int, wanted: dict[str, Value]) -> bool:
    """Whether a file holds this very draw: the same command wrote it, and was killed afterwards."""
    try:
        with open_hdf5(path) as file:
            held = {name: file.attrs.get(name) for name in wanted}
            ids = dataset_at(file, "ids")
            return ids is not None and ids.shape == (n,) and held == wanted
    except (PairdexError, ValueError):  # damaged, or an array where one value belongs
        return False


def _attributes(
    store: Store, database: Store, on: VectorField, seed: int, *, distinct: bool
) -> dict[str, Value]:
    return {
        "collection": store.name,
        "collection_checksum": store.checksum,
        "kind": on,
        "rule": RULE,
        "seed": seed,
        "distinct": distinct,
        "against": database.name,
        "against_checksum": database.checksum,
        "against_kind": searched_kind(database),
        "created_by": f"pairdex {__version__}",
    }
