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
from pairdex.curate.joined_rows import (
    FoundElsewhere,
    JoinedRows,
    Side,
    code_rows,
    find_elsewhere,
)
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import atomic, lock
from pairdex.files.unfinished import read_note, write_note
from pairdex.join.near_pairs import Rectangle
from pairdex.join.sorted_pairs import PairFiles
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.work.executors import executor_for, seen_alike

__all__ = ["MAX_WITHIN", "PairsReport", "pairs"]

MAX_WITHIN = 1.0  # beyond it nearly all pairs would be found

_SECONDS_BETWEEN_SAVES = 20.0
_DONE = "pairs.json"
_TASK_BYTES = 1 << 30  # of one rectangle: what Join holds for it, the pairs, the libraries
_ROW_BYTES = 9  # of each row that a node opens: slots and flags
_Found = tuple[int, Iterator[NDArray[np.void]]]
"""A rectangle's number and its pairs, some at a time."""

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
    cluster: str | None = None,
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
    cluster
        The address of a Ray cluster (host:port) whose nodes compare the rows, or `auto`. All nodes must see the
        collections and the folder of `out`. Rows are coded here.
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
    target = seen_alike(Path(out), cluster)
    if target.suffix != ".parquet":
        raise InvalidArgument(
            f"cannot write pairs to {out}: expected a name that ends in .parquet", field="out"
        )
    sides = [Side(Store(Path(collection)), on, where)]
    if against is not None:
        sides.append(Side(Store(Path(against)), on, against_where))
    _check_same_space(sides)
    facts = {"command": "pairs", "within": within, "on": on, "sides": [s.facts() for s in sides]}
    with _scratch(target) as folder:
        work = _Work(sides, folder, within, {**facts, "version": __version__})
        files = work.run(cluster, progress)
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


def _check_same_space(sides: list[Side]) -> None:
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
        self, sides: list[Side], folder: Path, within: float, plan: dict[str, Any]
    ) -> None:
        self._sides, self._folder, self._within, self._plan = sides, folder, within, plan
        self._saved = time.monotonic()

    def run(self, cluster: str | None, progress: Progress | None) -> PairFiles:
        joined = code_rows(
            self._sides,
            self._folder,
            self._within,
            plan=self._plan,
            progress=at_step(progress, "coding"),
        )
        done, sizes = self._recorded()
        files = PairFiles(self._folder / "pairs", (0, max(1, joined.other_from)), sizes)
        parts = joined.rectangles()
        meter = Meter(sum(part.area for part in parts), at_step(progress, "comparing"))
        meter.advance(sum(parts[number].area for number in done))
        left = {number: part for number, part in enumerate(parts) if number not in done}
        found = self._here(joined, left) if cluster is None else self._on(cluster, joined, left)
        for number, pairs in found:
            for some in pairs:
                files.add(some)
            done.add(number)
            if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
                self._record(done, files.sizes())
            meter.advance(parts[number].area)
        return files

    def _here(self, joined: JoinedRows, left: dict[int, Rectangle]) -> Iterator[_Found]:
        for number, part in left.items():
            yield number, joined.pairs(part)

    def _on(self, cluster: str, joined: JoinedRows, left: dict[int, Rectangle]) -> Iterator[_Found]:
        """Yield the pairs of the rectangles, in any order, found by the nodes of a cluster."""
        folder = self._folder / "found"
        shutil.rmtree(folder, ignore_errors=True)
        atomic.make_folder(folder)
        elsewhere = FoundElsewhere(self._sides, joined, self._within, self._plan, folder)
        tasks = [elsewhere.task(number, part) for number, part in left.items()]
        numbers = list(left)
        memory_bytes = _TASK_BYTES + _ROW_BYTES * len(joined.rows)
        folders = [side.store.path.resolve() for side in self._sides]
        with executor_for(
            cluster=cluster if tasks else None, folders=(*folders, folder)
        ) as executor:
            for place, _ in executor.each(find_elsewhere, tasks, memory_bytes=memory_bytes):
                yield numbers[place], elsewhere.take(tasks[place])

    def _record(self, done: set[int], sizes: dict[str, int]) -> None:
        """Note the rectangles that are done: all before the first that is not, and those beyond it."""
        first = next(number for number in range(len(done) + 1) if number not in done)
        beyond = sorted(number for number in done if number > first)
        content = {"plan": self._plan, "done": first, "beyond": beyond, "sizes": sizes}
        write_note(self._folder / _DONE, content)
        self._saved = time.monotonic()

    def _recorded(self) -> tuple[set[int], dict[str, int]]:
        content = read_note(self._folder / _DONE)
        if content is None or content["plan"] != self._plan:
            return set(), {}
        return {*range(content["done"]), *content["beyond"]}, content["sizes"]


def _write(out: Path, sorted_pairs: Iterator[NDArray[np.void]], facts: dict[str, Any]) -> int:
    schema, count = _SCHEMA.with_metadata({"pairdex": json.dumps(facts)}), 0
    with atomic.replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for some in sorted_pairs:
            columns = [some["id"].astype(np.int64), some["other_id"].astype(np.int64)]
            arrays = [pa.array(column) for column in (*columns, some["distance"])]
            writer.write_table(pa.table(arrays, schema=schema))
            count += len(some)
    return count
