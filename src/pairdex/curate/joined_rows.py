"""The rows of one collection or two, joined within a distance, here or on other machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import Mismatch
from pairdex.files import atomic
from pairdex.join.coded_rows import CodedRows, open_coded_rows, open_or_code_rows
from pairdex.join.near_pairs import Join, Pairs, Rectangle, Slots
from pairdex.join.sorted_pairs import PAIR
from pairdex.progress import StepProgress
from pairdex.store.store import Store, VectorField
from pairdex.work.processors import usable_processors
from pairdex.work.reopened import Reopened

__all__ = ["FoundElsewhere", "JoinedRows", "RectangleTask", "Side", "code_rows", "find_elsewhere"]

_COPIED_PAIRS = 1 << 20  # read at once of what a node has found: 16 MB


class Side:
    """The rows of one collection that take part."""

    def __init__(self, store: Store, on: VectorField, where: str | None) -> None:
        store.check_kind(on)
        store.check_cosine("pairs")
        self.store, self.on, self.where = store, on, where
        self.blocks = list(store.vectors(on).blocks)
        self.checksum, allowed = store.checksum, store.allowed(where)
        self.ids: NDArray[np.int64] = (
            np.arange(store.rows, dtype=np.int64) if allowed is None else np.flatnonzero(allowed)
        )

    def facts(self) -> dict[str, Any]:
        """Return what the pairs depend on."""
        return {"collection": self.store.name, "checksum": self.checksum, "where": self.where}

    def check_unchanged(self) -> None:
        """Raise Mismatch if rows were removed since."""
        if self.store.checksum != self.checksum:
            raise Mismatch(
                f"rows were removed from {self.store.path} meanwhile: run the same command again"
            )


class JoinedRows:
    """The coded rows of one side, or of two: ids of the other are counted on from `other_from`.

    Parameters
    ----------
    is_two
        Whether pairs are of a row of one side and a row of the other.
    """

    def __init__(
        self, rows: CodedRows, within: float, *, other_from: int, is_two: bool, threads: int
    ) -> None:
        self.rows, self.other_from, self._is_two = rows, other_from, is_two
        self._join = Join(rows, within, threads=threads)
        is_other = rows.ids >= other_from
        self._x: Slots = np.flatnonzero(~is_other).astype(np.uint32)
        self._y: Slots | None = np.flatnonzero(is_other).astype(np.uint32) if is_two else None

    def rectangles(self) -> list[Rectangle]:
        """Cut the pairs into parts of bounded memory."""
        return self._join.rectangles(self._x, self._y)

    def pairs(self, part: Rectangle) -> Iterator[NDArray[np.void]]:
        """Yield the pairs of a rectangle, some at a time, in no certain order."""
        for found in self._join.pairs(self._x, self._y, part):
            yield self._as_ids(found)

    def _as_ids(self, found: Pairs) -> NDArray[np.void]:
        one, other = self.rows.ids[found.x], self.rows.ids[found.y]
        pairs = np.empty(len(one), PAIR)
        pairs["id"], pairs["distance"] = np.minimum(one, other), found.distances
        pairs["other_id"] = np.maximum(one, other)
        if self._is_two:
            pairs["other_id"] -= self.other_from
        return pairs


def code_rows(
    sides: Sequence[Side],
    folder: Path,
    within: float,
    *,
    plan: dict[str, Any],
    progress: StepProgress | None,
) -> JoinedRows:
    """Code the rows of the sides, or open what the same plan has left in the folder."""
    ids, other_from = sides[0].ids, sides[0].store.rows
    if len(sides) > 1:
        ids = np.concatenate([ids, sides[1].ids + other_from])
    rows = open_or_code_rows(
        [block for side in sides for block in side.blocks],
        ids,
        None,
        folder,
        plan=plan,
        threads=usable_processors(),
        progress=progress,
    )
    is_two = len(sides) > 1
    return JoinedRows(
        rows, within, other_from=other_from, is_two=is_two, threads=usable_processors()
    )


@dataclass(frozen=True)
class RectangleTask:
    """A rectangle whose pairs are written to a file; `path` is absolute."""

    source: Reopened[JoinedRows]
    part: Rectangle
    path: Path


def find_elsewhere(task: RectangleTask) -> None:
    """Write the pairs of a rectangle, on a node."""
    joined = task.source.get()
    with atomic.replacing(task.path) as file:
        for found in joined.pairs(task.part):
            file.write(found.data)


@dataclass(frozen=True)
class FoundElsewhere:
    """Rectangles as tasks for other machines, which write what they find to the folder."""

    sides: Sequence[Side]
    joined: JoinedRows
    within: float
    plan: dict[str, Any]
    folder: Path

    def task(self, number: int, part: Rectangle) -> RectangleTask:
        """Return the task of a rectangle."""
        sides = tuple((side.store.path.resolve(), side.checksum, side.on) for side in self.sides)
        arguments = (sides, self.folder.parent, self.within, json.dumps(self.plan))
        source = Reopened(_open_joined, arguments, self.joined)
        return RectangleTask(source, part, self.folder / f"{number:06d}")

    def take(self, task: RectangleTask) -> Iterator[NDArray[np.void]]:
        """Yield what a finished task has found, and remove its file."""
        with task.path.open("rb") as file:
            while len(pairs := np.fromfile(file, PAIR, _COPIED_PAIRS)):
                yield pairs
        task.path.unlink()


def _open_joined(
    sides: Sequence[tuple[Path, str, VectorField]], folder: Path, within: float, plan: str
) -> JoinedRows:
    stores = [Store(path) for path, _, _ in sides]
    for store, (path, checksum, _) in zip(stores, sides, strict=True):
        if store.checksum != checksum:
            raise Mismatch(f"rows were removed from {path} meanwhile: run the same command again")
    blocks = [
        block
        for store, (_, _, on) in zip(stores, sides, strict=True)
        for block in store.vectors(on).blocks
    ]
    rows = open_coded_rows(blocks, folder, plan=json.loads(plan))
    return JoinedRows(rows, within, other_from=stores[0].rows, is_two=len(stores) > 1, threads=1)
