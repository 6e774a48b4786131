"""The rows of a join with their codes, in the order of their lists, in files that are mapped.

344 bytes a row at 512 dimensions. While they are made, the codes lie in the files twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import InvalidArgument, MissingFile
from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.unfinished import read_note, write_note
from pairdex.join.code_map import JOIN_BOX, CodeErrors, CodeMap, JoinMap, fit_map
from pairdex.join.lists import fit_centroids, list_count, sample_count
from pairdex.knn.code_basis import sample_rows
from pairdex.progress import Meter, StepProgress

__all__ = ["CodedRows", "open_coded_rows", "open_or_code_rows"]

_DONE = "codes.json"
_CHUNK_ROWS = 32_768
_MAX_ROWS = 1 << 32  # ids are stored in 32 bits
_CODES: dict[str, type[Any]] = {"small": np.int8, "large": np.uint8}
_PER_ROW: dict[str, type[Any]] = {
    "small_norms": np.int32,
    "large_norms": np.int32,
    "lists": np.uint32,
    "own": np.int32,
    "ids": np.uint32,
    "ranks": np.uint32,
}

Blocks = list[NDArray[np.float16]]


@dataclass(frozen=True)
class CodedRows:
    """The rows of a join; the number of a row in it is its slot.

    Attributes
    ----------
    map, errors
        How they were coded.
    lists, ids, ranks
        Of each slot, uint32, `lists` ascending: its list, its id in the blocks, and its rank: of two
        rows the one of the larger rank is the query of the search that defines their distance.
    small, large
        Their codes, (n, length) int8 and uint8 with 128 added; `large` is empty if `small` has all
        coordinates.
    small_norms, large_norms
        (n,) int32: the squared lengths of the codes.
    native
        For `_native`.
    """

    map: JoinMap
    errors: CodeErrors
    lists: NDArray[np.uint32]
    ids: NDArray[np.uint32]
    ranks: NDArray[np.uint32]
    small: NDArray[np.int8]
    large: NDArray[np.uint8]
    small_norms: NDArray[np.int32]
    large_norms: NDArray[np.int32]
    native: _native.JoinRows

    def __len__(self) -> int:
        return len(self.ids)


def open_or_code_rows(
    blocks: Blocks,
    ids: NDArray[np.int64],
    ranks: NDArray[np.int64] | None,
    folder: Path,
    *,
    plan: dict[str, Any],
    threads: int,
    lists: int | None = None,
    box: float = JOIN_BOX,
    progress: StepProgress | None = None,
) -> CodedRows:
    """Code rows for a join, or open what the same plan left in the folder.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays.
    ids
        Ascending ids of the rows that take part, over all blocks.
    ranks
        Of each of them; the ids if None.
    folder
        A folder for the files, which exists.
    plan
        What the files depend on.
    lists
        How many lists to divide the rows into; by default what suits a join.
    box
        As `fit_map` takes it.

    Raises
    ------
    WriteFailed
        The disk is full.
    InvalidArgument
        There are 2^32 rows or more.
    """
    if sum(len(block) for block in blocks) >= _MAX_ROWS:
        raise InvalidArgument(f"a join takes fewer than {_MAX_ROWS:,} rows: split the collection")
    known = _read_record(folder, plan)
    if known is None:
        known = _Coding(
            blocks,
            ids,
            ranks,
            folder,
            lists=lists or list_count(len(ids)),
            box=box,
            threads=threads,
            progress=progress,
        ).run()
        write_note(folder / _DONE, {"plan": plan, **known})
    return _open(blocks, folder, known)


def open_coded_rows(blocks: Blocks, folder: Path, *, plan: dict[str, Any]) -> CodedRows:
    """Open what `open_or_code_rows` has left in the folder, by the same plan.

    Raises
    ------
    MissingFile
        The folder has no rows of this plan.
    """
    known = _read_record(folder, plan)
    if known is None:
        raise MissingFile(f"{folder} has no coded rows of this plan; run the same command again")
    return _open(blocks, folder, known)


def _read_record(folder: Path, plan: dict[str, Any]) -> dict[str, Any] | None:
    record = read_note(folder / _DONE)
    return record if record is not None and record["plan"] == plan else None


def _open(blocks: Blocks, folder: Path, record: dict[str, Any]) -> CodedRows:
    n, large = record["rows"], CodeMap(**record["large"])
    small = CodeMap(**record["small"])
    with np.load(folder / "map.npz") as saved:
        join_map = JoinMap(
            record["dim"], saved["basis"], saved["shifts"], record["basis_error"], small, large
        )
        centroids = saved["centroids"]
    codes = {
        "small": map_array(folder / "small", (n, small.length), np.int8),
        "large": map_array(folder / "large", (n, large.length), np.uint8),
    }
    arrays = {name: map_array(folder / name, (n,), dtype) for name, dtype in _PER_ROW.items()}
    native = _native.JoinRows(blocks, **codes, **arrays, centroids=centroids)
    return CodedRows(
        join_map,
        CodeErrors(**record["errors"]),
        arrays["lists"],
        arrays["ids"],
        arrays["ranks"],
        codes["small"],
        codes["large"],
        arrays["small_norms"],
        arrays["large_norms"],
        native,
    )


class _Coding:
    """One run: codes in the order of the ids, then in the order of their lists."""

    def __init__(
        self,
        blocks: Blocks,
        ids: NDArray[np.int64],
        ranks: NDArray[np.int64] | None,
        folder: Path,
        *,
        lists: int,
        box: float,
        threads: int,
        progress: StepProgress | None,
    ) -> None:
        self._blocks, self._ids, self._ranks, self._folder = blocks, ids, ranks, folder
        self._lists, self._threads = lists, threads
        self._meter = Meter(len(ids), progress)
        sample = sample_rows(blocks)
        dim = blocks[0].shape[1] if blocks else 1
        self._map = fit_map(sample if len(sample) else np.eye(1, dim, dtype=np.float32), box=box)
        self._errors = [0.0, 0.0]

    def run(self) -> dict[str, Any]:
        order = self._order(self._encode())
        for name in (*_CODES, "small_norms", "large_norms", "ids", "ranks"):
            self._sort(name, order)
        return {
            "rows": len(order),
            "dim": self._map.dim,
            "basis_error": self._map.basis_error,
            "small": asdict(self._map.small),
            "large": asdict(self._map.large),
            "errors": {"small": self._errors[0], "large": self._errors[1]},
        }

    def _encode(self) -> NDArray[np.uint8]:
        """Write the codes in the order of the ids."""
        n = len(self._ids)
        out = {
            "small_codes": self._new("small.unsorted", (n, self._map.small.length), np.int8),
            "large_codes": self._new("large.unsorted", (n, self._map.large.length), np.uint8),
            "small_norms": self._new("small_norms.unsorted", (n,), np.int32),
            "large_norms": self._new("large_norms.unsorted", (n,), np.int32),
        }
        has_direction = np.zeros(n, np.uint8)
        done = 0
        for rows in _chunks(self._blocks, self._ids):
            part = slice(done, done + len(rows))
            errors = _native.join_encode(
                rows,
                self._map.basis,
                self._map.shifts,
                centre_squared=self._map.centre_squared,
                basis_error=self._map.basis_error,
                small=self._map.small.numbers,
                large=self._map.large.numbers,
                **{name: array[part] for name, array in out.items()},
                has_direction=has_direction[part],
                threads=self._threads,
                kernel="",
            )
            self._errors = [max(pair) for pair in zip(self._errors, errors, strict=True)]
            done += len(rows)
            self._meter.advance(len(rows))
        ids = self._new("ids.unsorted", (n,), np.uint32)
        ids[:] = self._ids
        self._new("ranks.unsorted", (n,), np.uint32)[:] = (
            self._ids if self._ranks is None else self._ranks
        )
        return has_direction

    def _order(self, has_direction: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Assign the rows to lists; return the places of those with a direction, list by list."""
        n = len(self._ids)
        small = map_array(self._folder / "small.unsorted", (n, self._map.small.length), np.int8)
        count = self._lists
        sample = small[:: max(1, n // sample_count(count))]
        centroids = fit_centroids(np.asarray(sample), count) if n else np.zeros((1, 64), np.int8)
        np.savez(
            self._folder / "map.npz",
            basis=self._map.basis,
            shifts=self._map.shifts,
            centroids=centroids,
        )
        lists, own = _native.join_assign(small, centroids, threads=self._threads, kernel="")
        order: NDArray[np.int64] = np.argsort(lists, kind="stable")
        order = order[has_direction[order] != 0]
        self._new("lists", (len(order),), np.uint32)[:] = lists[order]
        self._new("own", (len(order),), np.int32)[:] = own[order]
        return order

    def _sort(self, name: str, order: NDArray[np.int64]) -> None:
        path = self._folder / f"{name}.unsorted"
        width: tuple[int, ...] = ()
        dtype = _CODES.get(name) or _PER_ROW[name]
        if name in _CODES:
            width = (getattr(self._map, name).length,)
        source = map_array(path, (len(self._ids), *width), dtype)
        target = self._new(name, (len(order), *width), dtype)
        for first in range(0, len(order), _CHUNK_ROWS):
            chunk = slice(first, first + _CHUNK_ROWS)
            # "clip" writes into `target` without a copy between; the order has no place to clip.
            np.take(source, order[chunk], axis=0, out=target[chunk], mode="clip")
        path.unlink()

    def _new(self, name: str, shape: tuple[int, ...], dtype: type[Any]) -> NDArray[Any]:
        return new_array(self._folder / name, shape, dtype)


def _chunks(blocks: Blocks, ids: NDArray[np.int64]) -> Iterator[NDArray[np.float16]]:
    """Yield the rows of ascending ids, some at a time; those side by side as they lie in memory."""
    first = 0
    for block in blocks:
        here = ids[np.searchsorted(ids, first) : np.searchsorted(ids, first + len(block))] - first
        for start in range(0, len(here), _CHUNK_ROWS):
            some = here[start : start + _CHUNK_ROWS]
            is_run = some[-1] - some[0] + 1 == len(some)
            yield block[some[0] : some[-1] + 1] if is_run else block[some]
        first += len(block)
