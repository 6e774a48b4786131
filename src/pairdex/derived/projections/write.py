"""Project a collection: get a model, project one part after another, write `projection.json` last.

If a call is killed at any instant, the same call resumes it: the fitted model and finished parts are kept.
If the collection has grown, only the new parts are projected, with the same model. If everything must be
made again, `projection.json` is removed first.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
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
from pairdex.derived.projections.fitting import FitOptions, fit_model, given_model
from pairdex.derived.projections.models import Fit, Model, model_bytes, read_model
from pairdex.derived.projections.rows import BLOCK_ROWS, map_in_threads, vector_files
from pairdex.files import atomic, checksums, lock
from pairdex.files.unfinished import read_note, write_note
from pairdex.files.vectors import VectorFile, npy_header
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.manifest import FileEntry
from pairdex.store.store import Store
from pairdex.version import __version__
from pairdex.work.executors import Advance, Executor, do_all, executor_for, seen_alike
from pairdex.work.processors import usable_processors

__all__ = ["ProjectReport", "project_collection"]


_TASK_BYTES = 1 << 30  # of one part's work: blocks of vectors, the model, the libraries
_NOTES = ".making"  # of an unfinished projection: one note per finished part


@dataclass(frozen=True)
class ProjectReport:
    """The content of a projection; `projected` is the number of rows that this call projected.

    `recall_ceiling` is None if it was not measured.
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
    collection: Path,
    name: str,
    *,
    options: FitOptions | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> ProjectReport:
    """Project the rows of a collection that are not projected yet.

    Parameters
    ----------
    name
        `pcaN` with N components, e.g. `pca32` or `pca96`, or `hamming`.
    options
        The options of the model. If the existing projection's model matches them, it is kept.
    cluster
        The address of a Ray cluster whose nodes project the parts, or `auto`.

    Raises
    ------
    PairdexError
        A wrong name or model, too few rows, another writer, or a full disk. An existing projection stays
        unchanged, unless the vectors or the model have changed.
    """
    started = time.perf_counter()
    options, steps = options or FitOptions(), progress or (lambda _step, _done, _total: None)
    options.check(name)
    collection = seen_alike(collection, cluster)
    Store(collection).check_cosine("a projection")  # before the lock file is made
    with lock.writing(collection):
        store = Store(collection)
        with _claimed(folder_of(collection, name)) as folder:
            model, fit = _find_or_fit_model(store, folder, options, steps)
            with executor_for(cluster=cluster, folders=(collection, folder)) as executor:
                files, projected = _project_parts(store, folder, model, executor, steps)
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
    """Make the projection's folder; if the block fails, remove empty folders."""
    atomic.make_folder(folder)
    atomic.discard_partials(folder)
    try:
        yield folder
    except BaseException:  # Ctrl-C too
        for empty in (folder / _NOTES, folder, folder.parent):
            with suppress(OSError):  # it contains finished files
                empty.rmdir()
        raise


def _find_or_fit_model(
    store: Store, folder: Path, options: FitOptions, steps: Progress
) -> tuple[Model, Fit | None]:
    given = None if options.model is None else given_model(store, folder.name, options.model)
    if _is_kept(store, folder, options, given):
        return read_model(folder / MODEL)
    if given is None:
        name = folder.name
        fitted = fit_model(store, name, options, at_step(steps, "fitting"))
    _start_over(folder)
    model, fit = given or fitted
    atomic.write_bytes(folder / MODEL, model_bytes(model, fit))
    return model, fit


def _is_kept(
    store: Store, folder: Path, options: FitOptions, given: tuple[Model, Fit | None] | None
) -> bool:
    """Whether to continue with the model in the folder."""
    finished = (folder / MANIFEST).exists()
    if not (folder / MODEL).exists():
        return False
    if finished:
        sources = [file.source for file in read_record(folder).files]
        if sources != store.manifest.vector_checksums(ON)[: len(sources)]:
            return False  # the collection was built again
    if given is not None:
        return (folder / MODEL).read_bytes() == model_bytes(*given)
    model, fit = read_model(folder / MODEL)
    if finished:
        return options.is_met_by(model, fit)
    exactly = options.completed(folder.name, store.rows)
    return (
        fit is not None
        and fit.source == store.manifest.vectors_checksum(ON)
        and exactly.is_met_by(model, fit)
    )


def _start_over(folder: Path) -> None:
    """Remove a projection, `projection.json` first, so that no reader opens it any more."""
    for name in (MANIFEST, MODEL):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / _NOTES, ignore_errors=True)
    atomic.sync_folder(folder)


@dataclass(frozen=True, eq=False)
class _PartTask:
    """One part to project into the file `path`; it depends on nothing else."""

    vectors: VectorFile
    source: str
    path: Path
    model: Model
    model_checksum: str


def _project_parts(
    store: Store, folder: Path, model: Model, executor: Executor, steps: Progress
) -> tuple[list[PartFile], int]:
    """Project unfinished parts; return the files of all parts, and the number of rows projected now."""
    checksum = checksums.of_file(folder / MODEL)
    done = _finished_parts(folder, checksum)
    tasks = [
        _PartTask(vectors, source, folder / f"{index:05d}.npy", model, checksum)
        for index, (vectors, source) in enumerate(
            zip(vector_files(store, ON), store.manifest.vector_checksums(ON), strict=True)
        )
    ]
    known = [done.get(task.path.name) for task in tasks]
    files = {
        place: entry
        for place, (task, entry) in enumerate(zip(tasks, known, strict=True))
        if entry is not None and entry.source == task.source
    }
    left = [place for place in range(len(tasks)) if place not in files]
    atomic.make_folder(folder / _NOTES)
    meter = Meter(store.rows, at_step(steps, "projecting"))
    meter.advance(sum(tasks[place].vectors.rows for place in files))
    todo = [tasks[place] for place in left]
    sizes = [task.vectors.rows for task in todo]
    made = do_all(executor, _project_once, todo, sizes, meter.advance, memory_bytes=_TASK_BYTES)
    files |= zip(left, made, strict=True)
    return [files[place] for place in range(len(tasks))], sum(one.rows for one in made)


def _project_once(task: _PartTask, advance: Advance | None) -> PartFile:
    """Project a part and note that it is finished."""
    size, digest = _project_part(task.vectors, task.model, task.path, advance or (lambda _: None))
    entry = PartFile(task.path.name, task.vectors.rows, size, digest, task.source)
    note = task.path.with_name(_NOTES) / f"{task.path.name}.json"
    write_note(note, {"model": task.model_checksum, **asdict(entry)})
    return entry


def _finished_parts(folder: Path, model: str) -> dict[str, PartFile]:
    """Return the parts that were projected with this model and whose files have the right size."""
    entries: list[PartFile] = []
    if (folder / MANIFEST).exists():
        entries += read_record(folder).files  # the model was kept, so these are of the same model
    for path in sorted((folder / _NOTES).glob("*.json")):
        note = read_note(path)
        if note is not None and note.pop("model") == model:
            entries.append(PartFile(**note))
    return {entry.path: entry for entry in entries if _size(folder / entry.path) == entry.bytes}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def _project_part(
    vectors: VectorFile, model: Model, path: Path, advance: Advance
) -> tuple[int, str]:
    """Write the projected rows of one part; return the file's size and checksum."""
    digest = xxhash.xxh3_128()
    blocks = map_in_threads(model.apply, vectors.blocks(BLOCK_ROWS), usable_processors())
    with atomic.replacing(path) as file:

        def write(data: bytes) -> int:
            digest.update(data)
            return file.write(data)

        size = write(npy_header(vectors.rows, model.width, model.dtype))
        for block in blocks:
            size += write(block.astype(model.dtype, copy=False).tobytes())
            advance(len(block))
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
    """Write `projection.json`, which makes the projection visible, and remove files it does not list."""
    data = record_bytes(record)
    path = folder / MANIFEST
    if not path.exists() or path.read_bytes() != data:
        atomic.write_bytes(path, data)
    shutil.rmtree(folder / _NOTES, ignore_errors=True)
    named = {MANIFEST, MODEL, *(file.path for file in record.files)}
    for path in folder.glob("*.npy"):
        if path.name not in named:
            path.unlink()
