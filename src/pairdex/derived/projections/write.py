"""Projecting a collection: have a model, project part after part, name them all at the end.

A projection killed at any instant is resumed by the same call: a model that was fitted and parts that
were projected are kept. Where the collection has grown, only the new parts are projected, with the
same model. `projection.json` is written last, and removed first where everything has to be made again.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from pairdex.derived.projections.ceiling import Ceiling
from pairdex.derived.projections.files import (
    MANIFEST,
    MODEL,
    ON,
    PartFile,
    Record,
    folder_of,
    read_record,
    record_bytes,
)
from pairdex.derived.projections.fitting import Wish, fit_model, given_model
from pairdex.derived.projections.models import Fit, Model, model_bytes, read_model
from pairdex.derived.projections.rows import BLOCK_ROWS, side_by_side, vector_files
from pairdex.files import atomic, checksums, lock
from pairdex.files.vectors import VectorFile, npy_header
from pairdex.progress import Progress, at_step
from pairdex.store.manifest import FileEntry
from pairdex.store.store import Store
from pairdex.version import __version__
from pairdex.work.processors import usable_processors

__all__ = ["ProjectReport", "project_collection"]


_NOTES = ".making"  # while a projection is unfinished: a note of each part that is done


@dataclass(frozen=True)
class ProjectReport:
    """What a projection holds; `projected` is how many rows this call brought.

    `recall_ceiling` is None where it was not asked for.
    """

    name: str
    rows: int
    dim: int
    method: str
    fit_rows: int | None
    explained_variance: float | None
    projected: int
    seconds: float
    recall_ceiling: list[Ceiling] | None = None


def project_collection(
    collection: Path, name: str, *, wish: Wish | None = None, progress: Progress | None = None
) -> ProjectReport:
    """Project all rows of a collection, or those that are not yet projected.

    Parameters
    ----------
    name
        `pca32`, `pca96`, any `pcaN`, or `hamming`.
    wish
        Of the model. Where the collection has a projection whose model meets it, that is kept.

    Raises
    ------
    PairdexError
        A wrong name or model, too few rows, another writer, no room. A projection that was there
        before is untouched unless the vectors or the model are others now.
    """
    started = time.perf_counter()
    wish, steps = wish or Wish(), progress or (lambda _step, _done, _total: None)
    wish.check(name)
    Store(collection)  # there is one: otherwise no lock
    with lock.writing(collection):
        store = Store(collection)
        with _claimed(folder_of(collection, name)) as folder:
            model, fit = _have_model(store, folder, wish, steps)
            files, projected = _project_parts(store, folder, model, steps)
            record = _record(name, folder, model, fit, files)
            _finish(folder, record)
    return ProjectReport(
        name=name,
        rows=record.rows,
        dim=record.dim,
        method=record.method,
        fit_rows=record.fit_rows,
        explained_variance=record.explained_variance,
        projected=projected,
        seconds=time.perf_counter() - started,
    )


@contextmanager
def _claimed(folder: Path) -> Iterator[Path]:
    """Make the projection's folder; remove it again if nothing was written."""
    atomic.make_folder(folder)
    atomic.discard_partials(folder)
    try:
        yield folder
    except BaseException:  # Ctrl-C too
        for empty in (folder / _NOTES, folder, folder.parent):
            with suppress(OSError):  # it holds what is done
                empty.rmdir()
        raise


def _have_model(
    store: Store, folder: Path, wish: Wish, steps: Progress
) -> tuple[Model, Fit | None]:
    given = None if wish.model is None else given_model(store, folder.name, wish.model)
    if _is_kept(store, folder, wish, given):
        return read_model(folder / MODEL)
    if given is None:
        name = folder.name
        fitted = fit_model(store, name, wish, at_step(steps, "fitting"))
    _start_over(folder)
    model, fit = given or fitted
    atomic.write_bytes(folder / MODEL, model_bytes(model, fit))
    return model, fit


def _is_kept(
    store: Store, folder: Path, wish: Wish, given: tuple[Model, Fit | None] | None
) -> bool:
    """Whether the model in the folder is the one to go on with."""
    finished = (folder / MANIFEST).exists()
    if not (folder / MODEL).exists():
        return False
    if finished:
        made_of = [file.source for file in read_record(folder).files]
        if made_of != store.manifest.vector_checksums(ON)[: len(made_of)]:
            return False  # the collection was built again
    if given is not None:
        return (folder / MODEL).read_bytes() == model_bytes(*given)
    model, fit = read_model(folder / MODEL)
    if finished:
        return wish.is_met_by(model, fit)
    exactly = wish.completed(folder.name, store.rows)
    return (
        fit is not None
        and fit.source == store.manifest.vectors_checksum(ON)
        and exactly.is_met_by(model, fit)
    )


def _start_over(folder: Path) -> None:
    """Remove a projection, its `projection.json` first: from then on nobody reads it."""
    for name in (MANIFEST, MODEL):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / _NOTES, ignore_errors=True)
    atomic.sync_folder(folder)


def _project_parts(
    store: Store, folder: Path, model: Model, steps: Progress
) -> tuple[list[PartFile], int]:
    """Project the parts that are not; return the files of all, and how many rows were projected."""
    checksum = checksums.of_file(folder / MODEL)
    done = _done(folder, checksum)
    files: list[PartFile] = []
    projected = first = 0
    made_of = store.manifest.vector_checksums(ON)
    atomic.make_folder(folder / _NOTES)
    for index, vectors in enumerate(vector_files(store, ON)):
        name, source = f"{index:05d}.npy", made_of[index]
        entry = done.get(name)
        if entry is None or entry.source != source:

            def meter(rows: int, first: int = first) -> None:
                steps("projecting", first + rows, store.rows)

            size, digest = _project_part(vectors, model, folder / name, meter)
            entry = PartFile(name, vectors.rows, size, digest, source)
            note = json.dumps({"model": checksum, **asdict(entry)})
            atomic.write_bytes(folder / _NOTES / f"{name}.json", note.encode())
            projected += vectors.rows
        files.append(entry)
        first += vectors.rows
    return files, projected


def _done(folder: Path, model: str) -> dict[str, PartFile]:
    """Return the parts that are projected with this model, whole as far as their size tells."""
    entries: list[PartFile] = []
    if (folder / MANIFEST).exists():
        entries += read_record(folder).files  # with the model in the folder: it was kept
    for path in sorted((folder / _NOTES).glob("*.json")):
        note = json.loads(path.read_bytes())
        if note.pop("model") == model:
            entries.append(PartFile(**note))
    return {entry.path: entry for entry in entries if _size(folder / entry.path) == entry.bytes}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def _project_part(
    vectors: VectorFile, model: Model, path: Path, meter: Callable[[int], None]
) -> tuple[int, str]:
    """Write the projected rows of one part; return the file's size and checksum."""
    digest, rows = xxhash.xxh3_128(), 0
    blocks = side_by_side(model.apply, vectors.blocks(BLOCK_ROWS), usable_processors())
    with atomic.replacing(path) as file:

        def write(data: bytes) -> int:
            digest.update(data)
            return file.write(data)

        size = write(npy_header(vectors.rows, model.width, model.dtype))
        for block in blocks:
            size += write(block.astype(model.dtype, copy=False).tobytes())
            rows += len(block)
            meter(rows)
    return size, digest.hexdigest()


def _record(
    name: str, folder: Path, model: Model, fit: Fit | None, files: list[PartFile]
) -> Record:
    path = folder / MODEL
    return Record(
        name=name,
        kind=model.kind,
        method=model.method,
        dim=model.dim,
        source_dim=model.source_dim,
        on=ON,
        fit_rows=None if fit is None else fit.rows,
        explained_variance=model.explained_variance,
        created_by=f"pairdex {__version__}",
        model=FileEntry(MODEL, path.stat().st_size, checksums.of_file(path)),
        files=files,
    )


def _finish(folder: Path, record: Record) -> None:
    """Write `projection.json`, which readers see, and remove files that it does not name."""
    data = record_bytes(record)
    path = folder / MANIFEST
    if not path.exists() or path.read_bytes() != data:
        atomic.write_bytes(path, data)
    shutil.rmtree(folder / _NOTES, ignore_errors=True)
    named = {MANIFEST, MODEL, *(file.path for file in record.files)}
    for path in folder.glob("*.npy"):
        if path.name not in named:
            path.unlink()
