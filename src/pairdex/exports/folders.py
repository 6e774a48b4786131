"""Write a folder of many files atomically and resumably.

The files are written to `.NAME.export` beside the target. Each finished unit of work has a record there.
When all units are finished, the folder is renamed to the target in one step. It keeps a note of what it
is, `.pairdex-export.json`, so that the same export knows that it is done.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pairdex.errors import InvalidArgument, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.unfinished import read_note, write_note
from pairdex.progress import Meter, StepProgress
from pairdex.version import __version__
from pairdex.work.executors import Advance, do_all, executor_for

__all__ = ["ExportReport", "Nodes", "Written", "check_target", "export_folder"]


_RECORDS = ".records"
_RENAMING = "renaming"
_NOTE = ".pairdex-export.json"
_TASK_BYTES = (
    1 << 30
)  # of one unit: a block of vectors and metadata, examples of a file, the libraries


@dataclass(frozen=True)
class Written:
    """The result of one unit of work.

    Attributes
    ----------
    files
        The names of the written files, in order, with the number of rows of each.
    left_out
        The number of rows that were not written, by reason.
    """

    files: list[tuple[str, int]]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Nodes:
    """The nodes of the Ray cluster at an address, and the folders that they must see."""

    cluster: str
    folders: Sequence[Path]


@dataclass(frozen=True)
class ExportReport:
    """The number of rows and files written, the rows left out by reason, and notes for the user."""

    rows: int
    files: int
    left_out: dict[str, int]
    seconds: float
    notes: list[str] = field(default_factory=list)


def export_folder(
    target: Path,
    *,
    recipe: Mapping[str, Any],
    rows: Sequence[int],
    write: Callable[[Path, int], Written],
    name: Callable[[list[Written]], list[str]] | None = None,
    describe: Callable[[Path, list[Written]], None] | None = None,
    nodes: Nodes | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Run all units of work that an interrupted export has not finished, then rename the folder.

    Parameters
    ----------
    recipe
        Everything that the files depend on. Files left by an export with another recipe are deleted.
    rows
        The number of rows of each unit, for progress reports.
    write
        Called with the folder and a unit's number; writes the files of that unit. Nodes need it pickled.
    name
        Return the final names of all files in order, if these depend on the number of files.
    describe
        Write the files that describe the whole export.
    nodes
        Where units are written. None: in this process.

    Raises
    ------
    InvalidArgument
        `target` exists and is not an empty folder.
    CollectionBusy
        Another process writes to `target`.
    WriteFailed
        A file cannot be written.
    MissingExtra, ClusterFailed
        As `executor_for`.
    """
    started = time.perf_counter()
    finished = _finished(target, recipe)
    if finished is not None:
        return replace(finished, seconds=time.perf_counter() - started)
    with _exporting(target, recipe) as folder:
        report = _finished(folder, recipe)  # killed before it got its name
        if report is None:
            units = _write_units(folder, rows, write, nodes, progress)
            if name:
                _rename(folder, [old for unit in units for old, _ in unit.files], name(units))
            if describe:
                describe(folder, units)
            report = _report(folder, units)
            _write_note(folder, recipe, report)
        _publish(folder, target)
    return replace(report, seconds=time.perf_counter() - started)


def _write_units(
    folder: Path,
    rows: Sequence[int],
    write: Callable[[Path, int], Written],
    nodes: Nodes | None,
    progress: StepProgress | None,
) -> list[Written]:
    meter = Meter(sum(rows), progress)
    tasks = [_Unit(folder, unit, count, write) for unit, count in enumerate(rows)]
    cluster, folders = (nodes.cluster, nodes.folders) if nodes else (None, ())
    with executor_for(cluster=cluster, folders=(*folders, folder)) as executor:
        return do_all(executor, _write_once, tasks, rows, meter.advance, memory_bytes=_TASK_BYTES)


def _report(folder: Path, units: Sequence[Written]) -> ExportReport:
    left: dict[str, int] = {}
    for written in units:
        for reason, count in written.left_out.items():
            left[reason] = left.get(reason, 0) + count
    kept = sum(count for written in units for _, count in written.files)
    return ExportReport(kept, len(_sizes(folder)), left, 0.0)


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size of each exported file, by its path below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    ours = (_NOTE, f"{_RECORDS}/")
    return {name: path.stat().st_size for name, path in named.items() if not name.startswith(ours)}


def _write_note(folder: Path, recipe: Mapping[str, Any], report: ExportReport) -> None:
    content = {"recipe": _versioned(recipe), "sizes": _sizes(folder)}
    write_note(folder / _NOTE, content | {"rows": report.rows, "left_out": report.left_out})


def _finished(target: Path, recipe: Mapping[str, Any]) -> ExportReport | None:
    """Return what the very same export has reported that is whole in `target`; None without one."""
    content = read_note(target / _NOTE) if (target / _NOTE).is_file() else None
    if content is None or content["recipe"] != _versioned(recipe):
        return None
    if content["sizes"] != _sizes(target):
        return None
    return ExportReport(content["rows"], len(content["sizes"]), content["left_out"], 0.0)


def _versioned(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as JSON gives it back, with the version that follows it."""
    made: dict[str, Any] = json.loads(json.dumps({**recipe, "version": __version__}))
    return made


def check_target(target: Path) -> None:
    """Raise InvalidArgument if `target` exists and is not an empty folder."""
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise InvalidArgument(f"{target} already exists; name a new folder", field="dest")


@contextmanager
def _exporting(target: Path, recipe: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the folder to write to, locked, with what an interrupted export of this recipe has left."""
    check_target(target)
    folder = target.resolve().with_name(f".{target.resolve().name}.export")
    atomic.make_folder(folder)
    with lock.writing(folder):
        for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            atomic.discard_partials(place)
        record = folder / _RECORDS / "recipe.json"
        content = json.dumps(_versioned(recipe), sort_keys=True).encode()
        is_same = record.is_file() and record.read_bytes() == content
        if not is_same and _finished(folder, recipe) is None:
            atomic.empty_folder(folder)
            atomic.make_folder(record.parent)
            atomic.write_bytes(record, content)
        yield folder


def _publish(folder: Path, target: Path) -> None:
    shutil.rmtree(folder / _RECORDS, ignore_errors=True)
    try:
        folder.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteFailed(f"cannot write {target}: {reason}; run the same command again") from error
    atomic.sync_folder(target.resolve().parent)


@dataclass(frozen=True, eq=False)
class _Unit:
    """A unit to write, with its number of rows."""

    folder: Path
    number: int
    rows: int
    write: Callable[[Path, int], Written]


def _write_once(unit: _Unit, advance: Advance | None) -> Written:
    written = _recorded(unit)
    if written is None:
        written = unit.write(unit.folder, unit.number)
        write_note(_record(unit), asdict(written))
    if advance:
        advance(unit.rows)
    return written


def _record(unit: _Unit) -> Path:
    return unit.folder / _RECORDS / f"{unit.number:06d}.json"


def _recorded(unit: _Unit) -> Written | None:
    """Return what an interrupted export has written of a unit; None if it is not whole."""
    content = read_note(_record(unit))
    if content is None:
        return None
    written = Written([(name, rows) for name, rows in content["files"]], content["left_out"])
    renamed = (unit.folder / _RECORDS / _RENAMING).is_file()
    is_whole = renamed or all((unit.folder / name).is_file() for name, _ in written.files)
    return written if is_whole else None


def _rename(folder: Path, old: Sequence[str], new: Sequence[str]) -> None:
    """Rename files. A note records that renaming has begun, so the next export resumes after a kill."""
    atomic.write_bytes(folder / _RECORDS / _RENAMING, b"")
    for before, after in zip(old, new, strict=True):
        if (folder / before).exists():
            (folder / before).rename(folder / after)
