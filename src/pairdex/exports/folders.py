"""Writing a folder of many files so that nobody meets half of it, and a killed export goes on.

The files are written into `.NAME.export` beside the target; a unit of work that is done has a record
there. When all are done the folder gets the target's name, in one step.
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
from pairdex.files import atomic, foreign_json, lock
from pairdex.progress import StepProgress
from pairdex.version import __version__

__all__ = ["ExportReport", "Written", "check_target", "export_folder"]


_RECORDS = ".records"
_RENAMING = "renaming"


@dataclass(frozen=True)
class Written:
    """What one unit of work has written.

    Attributes
    ----------
    files
        Their names in the folder, in order, with the rows of each.
    left_out
        How many rows are in none of them, by reason.
    """

    files: list[tuple[str, int]]
    left_out: dict[str, int]


@dataclass(frozen=True)
class ExportReport:
    """How many rows went into how many files, and how many did not, by reason; and what is to be known."""

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
    """Do every unit of work that an earlier, interrupted export has not done; then show the folder.

    Parameters
    ----------
    recipe
        All that the files depend on: what an export of another recipe has left is thrown away.
    rows
        How many rows each unit has, for the progress.
    write
        Writes the unit of this number into the folder.
    name
        Gives the files of all units, in order, their last names, where these depend on their number.
    describe
        Adds what describes them all.

    Raises
    ------
    InvalidArgument, CollectionBusy, WriteFailed
        The target is there; another process writes it; no room.
    """
    started = time.perf_counter()
    units = []
    with _exporting(target, recipe) as folder:
        for unit, done in enumerate(rows):
            units.append(_once(folder, unit, write))
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
    """Raise InvalidArgument if anything but an empty folder is at `target`."""
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise InvalidArgument(f"{target} exists already; name a new folder", field="dest")


@contextmanager
def _exporting(target: Path, recipe: Mapping[str, Any]) -> Iterator[Path]:
    """Give the folder to write into; it becomes `target` when the block ends."""
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
        _show(folder, target)


def _show(folder: Path, target: Path) -> None:
    shutil.rmtree(folder / _RECORDS)
    try:
        folder.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteFailed(f"cannot write {target}: {reason}; run the same command again") from error
    atomic.sync_folder(target.resolve().parent)


def _once(folder: Path, unit: int, write: Callable[[Path, int], Written]) -> Written:
    record = folder / _RECORDS / f"{unit:06d}.json"
    if record.is_file():
        content = foreign_json.parse(record.read_bytes())
        written = Written([(name, rows) for name, rows in content["files"]], content["left_out"])
        renamed = (folder / _RECORDS / _RENAMING).is_file()
        if renamed or all((folder / name).is_file() for name, _ in written.files):
            return written
    written = write(folder, unit)
    atomic.write_bytes(record, json.dumps(asdict(written)).encode())
    return written


def _rename(folder: Path, old: Sequence[str], new: Sequence[str]) -> None:
    """Rename files; killed in between, the next export goes on, since a note says that it has begun."""
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
