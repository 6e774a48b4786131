"""Read the rows that a model is fitted or applied to, in blocks, as float32 of unit length.

Files are read, not memory-mapped: mapped pages count as the process's memory, and there may be 100 million
rows.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.files.vectors import VectorFile, open_vectors
from pairdex.progress import StepProgress
from pairdex.store.store import Store, VectorField
from pairdex.work.processors import usable_processors

__all__ = [
    "BLOCK_ROWS",
    "draw_live",
    "fit_blocks",
    "map_in_threads",
    "unit_rows",
    "vector_files",
    "widened",
]

BLOCK_ROWS = 8_192  # 25 MB as float32 with 768 dimensions: small enough for caches to help

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def vector_files(store: Store, on: VectorField) -> list[VectorFile]:
    """Open the collection's vector files, one per part, and check their headers."""
    store.vectors(on)  # checks that they match the manifest
    return [open_vectors(store.path / part.files[on].path) for part in store.manifest.parts]


def unit_rows(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scale non-zero rows, shape (n, dim), to unit length, as float32."""
    wide = widened(rows)
    wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return wide


def widened(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Copy rows to float32, each scaled by a power of two so that its squares neither over- nor underflow.

    Rows of float16 need no scaling.
    """
    wide = rows.astype(np.float32)
    if rows.dtype != np.float16 and len(wide):
        _, exponents = np.frexp(np.abs(wide).max(axis=1, keepdims=True))
        np.ldexp(wide, -exponents, out=wide)
    return wide


def fit_blocks(
    files: list[VectorFile],
    fit_rows: int,
    progress: StepProgress | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield the rows to fit a model to, scaled to unit length, in blocks; later blocks are read ahead.

    Parameters
    ----------
    fit_rows
        The number of evenly spaced rows: of n rows, the rows floor(i n / fit_rows).
    progress
        Called with the rows done and the rows in total.

    Raises
    ------
    InvalidArgument
        `fit_rows` is less than 1 or more than the number of rows.
    """
    total = sum(file.rows for file in files)
    if not 1 <= fit_rows <= total:
        raise InvalidArgument(
            f"fit-rows is {fit_rows:,}, expected 1 to {total:,} (the number of rows)",
            field="fit_rows",
        )
    done = 0
    raw_blocks = _raw_blocks(files, fit_rows)
    for block in map_in_threads(unit_rows, raw_blocks, usable_processors()):
        yield block
        done += len(block)
        if progress:
            progress(done, fit_rows)


def draw_live(store: Store, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the ids of `n` live rows, or of all if there are fewer; ascending."""
    live = store.allowed()  # read once: rows may be removed at any moment
    rows = store.rows if live is None else int(np.count_nonzero(live))
    drawn = rng.choice(rows, min(n, rows), replace=False, shuffle=False)
    return np.sort(drawn if live is None else np.flatnonzero(live)[drawn])


def map_in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int
) -> Iterator[_Result]:
    """Yield `work(item)` for each item in order; threads compute results ahead of the caller."""
    coming: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                coming.append(pool.submit(work, item))
                if len(coming) > threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()


def _raw_blocks(files: list[VectorFile], wanted: int) -> Iterator[NDArray[Any]]:
    total = sum(file.rows for file in files)
    first = 0
    for file in files:
        if wanted == total:
            yield from file.blocks(BLOCK_ROWS)
        else:
            yield from _picked(file, _spaced(first, file.rows, wanted, total))
        first += file.rows


def _spaced(first: int, rows: int, wanted: int, total: int) -> NDArray[np.int64]:
    """Return the row numbers in a part, whose first id is `first`, of the evenly spaced rows."""
    numbers = np.arange(-(-first * wanted // total), -(-(first + rows) * wanted // total))
    return np.asarray(numbers * total // wanted - first, np.int64)


def _picked(file: VectorFile, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Yield some rows of a file. Each row is read alone: a memory map would read 64 KB per row."""
    row_bytes = file.dim * file.dtype.itemsize
    with file.path.open("rb") as stream:
        for start in range(0, len(rows), BLOCK_ROWS):
            some = rows[start : start + BLOCK_ROWS]
            places = (file.offset + some * row_bytes).tolist()
            data = b"".join(os.pread(stream.fileno(), row_bytes, place) for place in places)
            yield np.frombuffer(data, file.dtype).reshape(len(some), file.dim)
