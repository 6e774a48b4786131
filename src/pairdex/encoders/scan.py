"""Walk a folder of pictures: list its files with sizes and times, follow links, avoid loops.

Only folders are opened, so scanning a large unchanged folder takes seconds. A folder reached more
than once through links counts once, preferably under its own name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pairdex.encoders.pictures import OTHER_KINDS, SUFFIXES, kind_of_file

__all__ = ["FileStamp", "Scan", "scan_folder", "suffix_of"]

# Folders that systems create: previews, copies of metadata, trash.
_FOREIGN_FOLDERS = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
_COLLECTION = "collection.json"  # marks a folder of ours: vectors, not pictures


class FileStamp(NamedTuple):
    """The state of a file: bytes, modification time in nanoseconds, inode."""

    bytes: int
    mtime_ns: int
    inode: int


@dataclass
class Scan:
    """The content of a folder and its subfolders.

    Attributes
    ----------
    files
        The regular files, hidden ones left out, by their name below `root`, with `/`.
    troubles
        Unreadable entries by name, with the reason: FIFOs, broken links, pictures of other kinds.
    closed
        Folders that exist but could not be listed, by name, with the reason.
    linked
        The real paths of folders outside `root` that links led to.
    repeated
        Links to folders and pictures already found under another name.
    """

    root: Path
    files: dict[str, FileStamp] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    linked: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def pictures(self) -> list[str]:
        """Return the names of the files that have the suffix of a picture, in no order."""
        return [name for name in self.files if suffix_of(name) in SUFFIXES]


@dataclass
class _Walk:
    """A walk in progress: links are followed after the folder's own content."""

    scan: Scan
    folder_links: list[str] = field(default_factory=list)
    file_links: list[tuple[str, os.stat_result]] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)  # folders, by device and inode
    inodes: set[tuple[int, int]] = field(default_factory=set)  # pictures


def scan_folder(root: Path) -> Scan:
    """Find all files below `root`, which is a folder; follow each target of symbolic links once."""
    walk = _Walk(Scan(root))
    _walk(walk, "")
    while walk.folder_links:
        name = walk.folder_links.pop(0)
        _follow(walk, name)
    for name, status in walk.file_links:
        if (status.st_dev, status.st_ino) in walk.inodes:
            walk.scan.repeated.append(name)
        else:
            _keep(walk, name, status)
    return walk.scan


def suffix_of(name: str) -> str:
    """Return the lower-case suffix of a name with its dot; empty if it has none."""
    base = name.rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def _follow(walk: _Walk, name: str) -> None:
    """Walk the folder that a link leads to, unless it is known already."""
    root, goal = walk.scan.root, (walk.scan.root / name).resolve()
    before = len(walk.seen)
    if goal.is_relative_to(root.resolve()) or root.resolve().is_relative_to(goal):
        walk.scan.repeated.append(name)  # its pictures are found without the link, or it is a loop
        return
    _walk(walk, name)
    if len(walk.seen) == before:
        if name not in walk.scan.closed:
            walk.scan.repeated.append(name)
    elif str(goal) not in walk.scan.linked:
        walk.scan.linked.append(str(goal))


def _walk(walk: _Walk, start: str) -> None:
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        place = os.path.join(walk.scan.root, folder)  # noqa: PTH118 - a hundred thousand of them
        try:
            status = os.stat(place)  # noqa: PTH116
            key = status.st_dev, status.st_ino
            if key in walk.seen:
                continue
            with os.scandir(place) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            walk.scan.closed[folder or "."] = error.strerror or str(error)
            continue
        walk.seen.add(key)
        if any(entry.name == _COLLECTION for entry in listed):
            continue
        waiting += _inner_folders(walk, folder, listed)


def _inner_folders(walk: _Walk, folder: str, listed: list[os.DirEntry[str]]) -> Iterator[str]:
    """Record the files of a folder, and yield its subfolders."""
    prefix = f"{folder}/" if folder else ""
    for entry in listed:
        if entry.name.startswith(".") or entry.name in _FOREIGN_FOLDERS:
            continue
        name = prefix + entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                yield name
            elif entry.is_symlink():
                _link(walk, name, entry)
            else:
                _keep(walk, name, entry.stat(follow_symlinks=False))
        except OSError as error:  # it vanished, or is not readable
            if suffix_of(name) in SUFFIXES and not isinstance(error, FileNotFoundError):
                walk.scan.troubles[name] = f"it cannot be read: {error.strerror}"


def _link(walk: _Walk, name: str, entry: os.DirEntry[str]) -> None:
    try:
        status = entry.stat()
    except OSError as error:  # a broken link, a loop of links, a missing disk
        goal = os.readlink(entry.path)  # noqa: PTH115
        if suffix_of(name) in SUFFIXES:
            walk.scan.troubles[name] = f"it is a link to {goal}: {error.strerror}"
        elif not suffix_of(name):  # most likely of a folder
            walk.scan.closed[name] = f"it is a link to {goal}: {error.strerror}"
        return
    if stat.S_ISDIR(status.st_mode):
        walk.folder_links.append(name)
    else:
        walk.file_links.append((name, status))


def _keep(walk: _Walk, name: str, status: os.stat_result) -> None:
    kind, suffix = kind_of_file(status.st_mode), suffix_of(name)
    is_picture = suffix in SUFFIXES
    if kind is not None:
        if is_picture:
            walk.scan.troubles[name] = f"it is {kind}, expected a picture"
        return
    if suffix in OTHER_KINDS:
        walk.scan.troubles[name] = f"it is {OTHER_KINDS[suffix]}"
    if is_picture:
        walk.inodes.add((status.st_dev, status.st_ino))
    walk.scan.files[name] = FileStamp(status.st_size, status.st_mtime_ns, status.st_ino)
