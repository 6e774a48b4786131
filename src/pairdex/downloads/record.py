"""A record of the verified files of a folder, so that they need not be read again.

An entry is valid as long as the file's size and modification time are unchanged.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pairdex.files import foreign_json, lock
from pairdex.files.atomic import partials, write_bytes

__all__ = ["RECORD", "Known", "Record"]

RECORD = ".pairdex-fetched.json"
_FORMAT, _VERSION = "pairdex-fetched", 1


@dataclass(frozen=True)
class Known:
    """The state of a file when its digest was computed, and the release it is of, if any."""

    bytes: int
    mtime_ns: int
    algorithm: str
    digest: str
    release: str | None = None


class Record:
    """The record of a folder; if it is lost or damaged, files are read again.

    New entries name the `release` that is being fetched.
    """

    def __init__(self, folder: Path, release: str | None = None) -> None:
        self._folder, self._path = folder, folder / RECORD
        self._release = release
        self._lock = threading.Lock()
        self._files = self._read()

    def find(self, name: str) -> Known | None:
        """Return the entry of a file if the file is unchanged."""
        try:
            known = Known(**self._files[name])
            status = (self._folder / name).stat()
        except (KeyError, TypeError, OSError):
            return None
        same = (known.bytes, known.mtime_ns) == (status.st_size, status.st_mtime_ns)
        return known if same else None

    def find_path(self, path: Path) -> Known | None:
        """Return the entry of a file by its path; None outside the folder."""
        inside = path.is_relative_to(self._folder)
        return self.find(path.relative_to(self._folder).as_posix()) if inside else None

    def add(self, name: str, algorithm: str, digest: str) -> Known:
        """Record the current digest of a file."""
        status = (self._folder / name).stat()
        known = Known(status.st_size, status.st_mtime_ns, algorithm, digest, self._release)
        with self._locked():
            for leftover in partials(self._folder, self._path.name):
                leftover.unlink(missing_ok=True)
            self._files = self._read() | {name: asdict(known)}
            files = dict(sorted(self._files.items()))
            content = {"format": _FORMAT, "version": _VERSION, "files": files}
            write_bytes(self._path, json.dumps(content, indent=1).encode() + b"\n")
        return known

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the record against other threads and processes."""
        with self._lock:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                lock.acquire(descriptor, self._folder, wait=True)
                yield
            finally:
                os.close(descriptor)

    def _read(self) -> dict[str, Any]:
        """Read all entries, including those of other processes."""
        try:
            content = foreign_json.parse(self._path.read_bytes())
            if (content["format"], content["version"]) == (_FORMAT, _VERSION):
                return dict(content["files"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {}
