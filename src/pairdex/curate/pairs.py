"""All pairs of rows within a distance, of one collection or between two, exactly.

The distance of a pair is the one that the certified search defines, with the row of the larger id as
the query; between two collections that is the other collection's row.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import atomic, lock
from pairdex.files.unfinished import read_note, write_note
from pairdex.join.coded_rows import CodedRows, open_or_code_rows
from pairdex.join.near_pairs import Join, Pairs, Slots
from pairdex.join.sorted_pairs import PAIR, PairFiles
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.work.processors import usable_processors

__all__ = ["MAX_WITHIN", "PairsReport", "pairs"]

MAX_WITHIN = 1.0  # beyond it nearly all pairs would be found

_SECONDS_BETWEEN_SAVES = 20.0
_DONE = "pairs.json"
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("other_id", pa.int64(), nullable=False),
        pa.field("distance", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PairsReport:
    """What was found.

    Attributes
    ----------
    pairs
        How many pairs the file holds.
    rows, other_rows
        Rows that were compared; `other_rows` is None for pairs within one collection.
    """

    pairs: int
    rows: int
    other_rows: int | None
    within: float
    on: VectorField
    seconds: float


@checked
def pairs(
    collection: StrPath,
    out: StrPath,
    *,
    within: float,
    against: StrPath | None = None,
    on: VectorField = "image",
    where: str | None = None,
    against_where: str | None = None,
    progress: Progress | None = None,
) -> PairsReport:
    """Write all pairs of rows that are within a distance; the same call resumes a killed one.

    Removed rows are left out. Nothing is approximate: no index and no chance is involved.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    out
        The Parquet file to write: `id`, `other_id` and `distance`, ordered by id and other id. Within
        one collection each pair is written once, with `id` < `other_id`.
    within
        The largest distance, 1 - cos, from 0 to 1.
    against
        Another collection: pairs of a row of the first and a row of this one.
    on
        Which vectors are compared.
    where
        Only rows of the collection that satisfy this SQL predicate.
    against_where
        Only such rows of the other collection.
    progress
        Called with the step, the amount done and the total.

    Raises
    ------
    PairdexError
        A wrong option; collections of other dimensions; rows were removed meanwhile; a full disk.
    """
    started = time.perf_counter()
    if not 0 <= within <= MAX_WITHIN:
        raise InvalidArgument(
            f"within is {within}, expected a distance of 0 to {MAX_WITHIN}", field="within"
        )
    if against is None and against_where is not None:
        raise InvalidArgument(
            "against_where needs another collection: name it with against", field="against_where"
        )
    target = Path(out)
    if target.suffix != ".parquet":
        raise InvalidArgument(
            f"cannot write pairs to {out}: expected a name that ends in .parquet", field="out"
        )
    sides = [_Side(Store(Path(collection)), on, where)]
    if against is not None:
        sides.append(_Side(Store(Path(against)), on, against_where))
    _check_same_space(sides)
    facts = {"command": "pairs", "within": within, "on": on, "sides": [s.facts() for s in sides]}
    with _scratch(target) as folder:
        work = _Work(sides, folder, within, {**facts, "version": __version__})
        files = work.run(progress)
        for side in sides:
            side.check_unchanged()
        count = _write(target, files.sorted(), {"created_by": f"pairdex {__version__}", **facts})
        shutil.rmtree(folder)
    rows = [len(side.ids) for side in sides]
    return PairsReport(
        count,
        rows[0],
        rows[1] if len(rows) > 1 else None,
        within,
        on,
        time.perf_counter() - started,
    )


class _Side:
    """The rows of one collection that take part."""

    def __init__(self, store: Store, on: VectorField, where: str | None) -> None:
        store.check_kind(on)
        self.store, self.where = store, where
        self.blocks = list(store.vectors(on).blocks)
        self._checksum, allowed = store.checksum, store.allowed(where)
        self.ids: NDArray[np.int64] = (
            np.arange(store.rows, dtype=np.int64) if allowed is None else np.flatnonzero(allowed)
        )

    def facts(self) -> dict[str, Any]:
        """Return what the pairs depend on."""
        return {
            "collection": self.store.name,
            "checksum": self._checksum,
            "where": self.where,
        }

    def check_unchanged(self) -> None:
        if self.store.checksum != self._checksum:
            raise Mismatch(
                f"rows were removed from {self.store.path} meanwhile: run the same command again"
            )


def _check_same_space(sides: list[_Side]) -> None:
    first, last = sides[0].store, sides[-1].store
    if first.dim != last.dim:
        raise Mismatch(
            f"{first.path} has dimension {first.dim}, {last.path} has {last.dim}: "
            "vectors of different models cannot be compared"
        )


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """Give the folder beside `out` that holds what is done so far; one process at a time."""
    folder = out.with_name(f".{out.name}.pairs")
    atomic.make_folder(folder)
    with lock.writing(folder):
        yield folder


class _Work:
    """The join of one call, rectangle by rectangle, with a record of what is done."""

    def __init__(
        self, sides: list[_Side], folder: Path, within: float, plan: dict[str, Any]
    ) -> None:
        self._sides, self._folder, self._within, self._plan = sides, folder, within, plan
        self._other_from = sides[0].store.rows  # ids of the other side are counted on from here

    def run(self, progress: Progress | None) -> PairFiles:
        rows = self._code(progress)
        join = Join(rows, self._within, threads=usable_processors())
        is_other = rows.ids >= self._other_from
        x, y = _slots(~is_other), _slots(is_other) if len(self._sides) > 1 else None
        done, sizes = self._recorded()
        files = PairFiles(self._folder / "pairs", (0, max(1, self._other_from)), sizes)
        parts = join.rectangles(x, y)
        meter = Meter(sum(part.area for part in parts), at_step(progress, "comparing"))
        saved = time.monotonic()
        for number, part in enumerate(parts):
            if number >= done:
                for found in join.pairs(x, y, part):
                    files.add(self._as_ids(found, rows))
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    self._record(number + 1, files.sizes())
                    saved = time.monotonic()
            meter.advance(part.area)
        return files

    def _code(self, progress: Progress | None) -> CodedRows:
        ids = self._sides[0].ids
        if len(self._sides) > 1:
            ids = np.concatenate([ids, self._sides[1].ids + self._other_from])
        return open_or_code_rows(
            [block for side in self._sides for block in side.blocks],
            ids,
            None,
            self._folder,
            plan=self._plan,
            threads=usable_processors(),
            progress=at_step(progress, "coding"),
        )

    def _as_ids(self, found: Pairs, rows: CodedRows) -> NDArray[np.void]:
        one, other = rows.ids[found.x], rows.ids[found.y]
        pairs = np.empty(len(one), PAIR)
        pairs["id"], pairs["distance"] = np.minimum(one, other), found.distances
        pairs["other_id"] = np.maximum(one, other)
        if len(self._sides) > 1:
            pairs["other_id"] -= self._other_from
        return pairs

    def _record(self, done: int, sizes: dict[str, int]) -> None:
        write_note(self._folder / _DONE, {"plan": self._plan, "done": done, "sizes": sizes})

    def _recorded(self) -> tuple[int, dict[str, int]]:
        content = read_note(self._folder / _DONE)
        if content is None or content["plan"] != self._plan:
            return 0, {}
        return content["done"], content["sizes"]


def _slots(flags: NDArray[np.bool_]) -> Slots:
    return np.flatnonzero(flags).astype(np.uint32)


def _write(out: Path, sorted_pairs: Iterator[NDArray[np.void]], facts: dict[str, Any]) -> int:
    schema, count = _SCHEMA.with_metadata({"pairdex": json.dumps(facts)}), 0
    with atomic.replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for some in sorted_pairs:
            columns = [some["id"].astype(np.int64), some["other_id"].astype(np.int64)]
            arrays = [pa.array(column) for column in (*columns, some["distance"])]
            writer.write_table(pa.table(arrays, schema=schema))
            count += len(some)
    return count
