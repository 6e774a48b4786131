"""Make an atlas: draw a sample, lay it out, name its regions, assign every row to a point."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.derived.atlas import layout
from pairdex.derived.atlas.files import Record, folder_of, save_array, write_record
from pairdex.derived.atlas.regions import find_regions
from pairdex.derived.atlas.sizes import DEFAULT_SAMPLE, MAX_SAMPLE, MAX_SEED
from pairdex.errors import InvalidArgument
from pairdex.files import atomic, lock
from pairdex.knn import cosine
from pairdex.progress import Progress, at_step
from pairdex.store.fields import DEFAULT_SEED
from pairdex.store.sample import draw
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.wording import counted

__all__ = ["AtlasReport", "atlas"]

_BLOCK_ROWS = 8_192


@dataclass(frozen=True)
class AtlasReport:
    """The size of an atlas: sampled `points`, named `regions`, and live `rows`, each with a point."""

    rows: int
    points: int
    regions: int
    on: VectorField
    seconds: float


@checked
def atlas(
    collection: StrPath,
    *,
    sample: int | None = None,
    seed: int = DEFAULT_SEED,
    on: VectorField = "image",
    progress: Progress | None = None,
) -> AtlasReport:
    """Make a map of a collection for the page, where similar rows are close to each other.

    UMAP lays out a sample of the rows. Every other row is placed at its nearest row of the sample. The
    same collection, sample and seed give the same bytes. An existing atlas is replaced once the new one
    is complete.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    sample
        The number of rows to lay out. None: 20,000, or all rows if there are fewer.
    seed
        The random seed of the sample and the layout, 0 to 2**32 - 1.
    on
        The vectors that decide which rows are similar.
    progress
        Called with the step, the amount done and the total.

    Raises
    ------
    MissingExtra
        umap-learn is not installed.
    InvalidArgument
        The collection has too few rows, or an option is out of range.
    CollectionBusy, WriteFailed
        Another process writes the collection, or a file cannot be written.
    """
    started = time.perf_counter()
    layout.check_extra()
    folder, steps = Path(collection), progress or (lambda _step, _done, _total: None)
    store = Store(folder)
    store.check_kind(on)
    wanted = _checked(store, sample, seed)
    with lock.writing(folder):
        store = Store(folder)  # again: it cannot change under the lock
        with _claimed(folder_of(folder)):
            record = _make(store, wanted, seed, on, steps)
            write_record(folder, record)
    return AtlasReport(
        rows=store.live_rows,
        points=record.points,
        regions=len(record.regions),
        on=on,
        seconds=time.perf_counter() - started,
    )


def _checked(store: Store, sample: int | None, seed: int) -> int:
    """Return the number of rows to draw, after checking the options."""
    rows = store.live_rows
    if rows < layout.MIN_POINTS:
        raise InvalidArgument(
            f"{store.path} has {counted(rows, 'row')}, an atlas needs at least {layout.MIN_POINTS} rows"
        )
    if not 0 <= seed <= MAX_SEED:
        raise InvalidArgument(f"the seed is {seed}, expected 0 to {MAX_SEED:,}", field="seed")
    if sample is None:
        return min(DEFAULT_SAMPLE, rows)
    most = min(MAX_SAMPLE, rows)
    if not layout.MIN_POINTS <= sample <= most:
        raise InvalidArgument(
            f"the sample is {counted(sample, 'row')}, expected {layout.MIN_POINTS} to {most:,}",
            field="sample",
        )
    return sample


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make the atlas's folder; if the block fails and the folder is empty, remove it."""
    atomic.make_folder(folder)
    atomic.discard_partials(folder)
    try:
        yield
    except BaseException:  # Ctrl-C too
        with suppress(OSError):  # it contains an earlier atlas
            folder.rmdir()
        raise


def _make(store: Store, sample: int, seed: int, on: VectorField, steps: Progress) -> Record:
    live = store.allowed()
    keep = np.ones(store.rows, np.bool_) if live is None else live
    drawn_from = store.checksum
    ids = np.flatnonzero(draw(keep, sample, seed=seed))
    vectors = store.vectors(on)[ids]
    positions = layout.lay_out(vectors, seed=seed, progress=at_step(steps, "finding neighbours"))
    regions = find_regions(positions, _captions(store, ids), seed=seed)
    places = _places(store, on, ids, vectors, lambda done: steps("placing", done, store.rows))
    arrays: dict[str, NDArray[Any]] = {"ids": ids, "positions": positions, "places": places}
    files = {name: save_array(store.path, name, array) for name, array in arrays.items()}
    return Record(
        created_by=f"pairdex {__version__}",
        on=on,
        points=len(ids),
        seed=seed,
        rows=store.rows,
        source=store.manifest.vectors_checksum(on),
        drawn_from=drawn_from,
        method={
            "name": "umap",
            "release": layout.umap_version(),
            "neighbours": layout.NEIGHBOURS,
            "min_dist": layout.MIN_DIST,
        },
        regions=regions,
        files=files,
    )


def _captions(store: Store, ids: NDArray[np.int64]) -> list[str | None]:
    if "caption" not in store.schema.names:
        return [None] * len(ids)
    captions: list[str | None] = store.read(ids, ["caption"])["caption"].to_pylist()
    return captions


def _places(
    store: Store,
    on: VectorField,
    ids: NDArray[np.int64],
    vectors: NDArray[np.float16],
    progress: Callable[[int], None],
) -> NDArray[np.int32]:
    """Return for each row of the collection, shape (rows,), the number of its nearest row of the sample."""
    view = store.vectors(on)
    places = np.full(store.rows, -1, np.int32)
    places[ids] = np.arange(len(ids), dtype=np.int32)
    for first in range(0, store.rows, _BLOCK_ROWS):
        others = first + np.flatnonzero(places[first : first + _BLOCK_ROWS] < 0)
        if len(others):
            found = cosine.nearest([vectors], view[others].astype(np.float32), 1)
            places[others] = found.ids[:, 0]
        progress(min(first + _BLOCK_ROWS, store.rows))
    return places
