"""Write a folder of many files atomically and resumably.

The files are written to `.NAME.export` beside the target. Each finished unit of work has a record there.
When all units are finished, the folder is renamed to the target in one step.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pairdex.errors import InvalidArgument, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.unfinished import read_note, write_note
from pairdex.progress import StepProgress
from pairdex.version import __version__

__all__ = ["ExportReport", "Written", "check_target", "export_folder"]


_RECORDS = ".records"
_RENAMING = "renaming"


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
        Called with the folder and a unit's number; writes the files of that unit.
    name
        Return the final names of all files in order, if these depend on the number of files.
    describe
        Write the files that describe the whole export.

    Raises
    ------
    InvalidArgument
        `target` exists and is not an empty folder.
    CollectionBusy
        Another process writes to `target`.
    WriteFailed
        A file cannot be written.
    """
    started = time.perf_counter()
    units = []
    with _exporting(target, recipe) as folder:
        for unit, done in enumerate(rows):
            units.append(_write_unit_once(folder, unit, write))
            if progress:
                progress(sum(rows[:unit]) + done, sum(rows))
        if name:
            _rename(folder, [old for unit in units for old, _ in unit.files], name(units))
        if describe:
            describe(folder, units)
    left: dict[str, int] = {}
    for written in units:
        for reason, count in written.left_out.items():
            left[reason] = left.get(reason, 0) + count
    kept = sum(count for written in units for _, count in written.files)
    files = sum(path.is_file() for path in target.rglob("*"))
    return ExportReport(kept, files, left, time.perf_counter() - started)


def check_target(target: Path) -> None:
    """Raise InvalidArgument if `target` exists and is not an empty folder."""
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise InvalidArgument(f"{target} already exists; name a new folder", field="dest")


@contextmanager
def _exporting(target: Path, recipe: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the folder to write to; it becomes `target` when the block ends."""
    check_target(target)
    folder = target.resolve().with_name(f".{target.resolve().name}.export")
    atomic.make_folder(folder)
    with lock.writing(folder):
        atomic.discard_partials(folder)
        record = folder / _RECORDS / "recipe.json"
        content = json.dumps({**recipe, "version": __version__}, sort_keys=True).encode()
        if not record.is_file() or record.read_bytes() != content:
            _empty(folder)
            atomic.make_folder(record.parent)
            atomic.write_bytes(record, content)
        yield folder
        _publish(folder, target)


def _publish(folder: Path, target: Path) -> None:
    shutil.rmtree(folder / _RECORDS)
    try:
        folder.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteFailed(f"cannot write {target}: {reason}; run the same command again") from error
    atomic.sync_folder(target.resolve().parent)


def _write_unit_once(folder: Path, unit: int, write: Callable[[Path, int], Written]) -> Written:
    record = folder / _RECORDS / f"{unit:06d}.json"
    content = read_note(record)
    if content is not None:
        written = Written([(name, rows) for name, rows in content["files"]], content["left_out"])
        renamed = (folder / _RECORDS / _RENAMING).is_file()
        if renamed or all((folder / name).is_file() for name, _ in written.files):
            return written
    written = write(folder, unit)
    write_note(record, asdict(written))
    return written


def _rename(folder: Path, old: Sequence[str], new: Sequence[str]) -> None:
    """Rename files. A note records that renaming has begun, so the next export resumes after a kill."""
    atomic.write_bytes(folder / _RECORDS / _RENAMING, b"")
    for before, after in zip(old, new, strict=True):
        if (folder / before).exists():
            (folder / before).rename(folder / after)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
