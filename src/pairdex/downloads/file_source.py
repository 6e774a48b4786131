"""Read files from folders (file:) and, with the extra, from fsspec's file systems (s3:, hf:, …)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.streams import Interrupted, NotThere, Stream, shown, split_url
from pairdex.errors import FetchFailed, InvalidArgument, MissingExtra

__all__ = ["FileSource", "RemoteSource"]

_READ_BYTES = 1 << 20


class FileSource:
    """Reads file: addresses."""

    @contextmanager
    def open(
        self, url: str, start: int = 0, validator: str | None = None, stop: int | None = None
    ) -> Iterator[Stream]:
        """Open a file at `start` if it still matches `validator`; see `Source`."""
        path = _path(url)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotThere(f"{path} is not there") from error
        except OSError as error:
            raise FetchFailed(
                f"{path} is not there, or cannot be read: {error.strerror}"
            ) from error
        with os.fdopen(_regular(descriptor, path), "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            current = f"{status.st_size}-{status.st_mtime_ns}"
            begin = _begin(start, status.st_size, validator, current)
            file.seek(begin)
            yield Stream(begin, status.st_size, current, _chunks(file, url, begin, stop))

    def find(self, url: str) -> list[Entry]:
        """Return the files in a folder and its subfolders; see `Source`."""
        folder = _path(url)
        if not folder.is_dir():
            raise FetchFailed(f"{folder} is not a folder; expected one with the files to fetch")
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in paths]
        base = url.rstrip("/")
        return [
            Entry(name, (f"{base}/{quote(name)}",), bytes=path.stat().st_size, bytes_exact=True)
            for name, path in zip(names, paths, strict=True)
        ]


class RemoteSource:
    """Reads the addresses of fsspec's file systems; each loads its own package when first used."""

    def __init__(self) -> None:
        self._systems: dict[str, Any] = {}

    @contextmanager
    def open(
        self, url: str, start: int = 0, validator: str | None = None, stop: int | None = None
    ) -> Iterator[Stream]:
        """Open a file at `start` if it still matches `validator`; see `Source`."""
        system, path = self._system(url)
        with ExitStack() as stack:
            with _explained(url):
                size, current = system.info(path)["size"], str(system.ukey(path))
                begin = _begin(start, size, validator, current)
                file = stack.enter_context(system.open(path, "rb"))
                file.seek(begin)
            yield Stream(begin, size, current, _chunks(file, url, begin, stop))

    def find(self, url: str) -> list[Entry]:
        """Return the files below an address; see `Source`."""
        system, root = self._system(url)
        with _explained(url):
            found = system.find(root, detail=True)
        root = root.rstrip("/")
        entries = []
        for path, facts in sorted(found.items()):
            name = path.removeprefix(root).lstrip("/")
            lfs = facts.get("lfs") or {}  # Hugging Face states the SHA-256 of large files
            entries.append(
                Entry(
                    name,
                    (f"{url.rstrip('/')}/{name}",),
                    bytes=facts["size"],
                    bytes_exact=True,
                    sha256=lfs.get("sha256"),
                )
            )
        return entries

    def _system(self, url: str) -> tuple[Any, str]:
        scheme = split_url(url).scheme
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

            system, path = url_to_fs(url)
        except ImportError as error:
            raise MissingExtra(
                f"{scheme}: addresses need fsspec and the package of their file system: "
                f"pip install 'pairdex[remote]' ({error})"
            ) from error
        except ValueError as error:
            raise InvalidArgument(
                f"the address {url} is of no known kind; expected http://, https://, file:, s3:// or hf://",
                field="release",
            ) from error
        return self._systems.setdefault(scheme, system), str(path)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotThere(f"{shown(url)} is not there any more") from error
    except PermissionError as error:
        raise FetchFailed(f"{shown(url)} cannot be read: {error}") from error
    except OSError as error:
        raise Interrupted(f"{shown(url)} broke off ({error})") from error
    except Exception as error:  # every file system raises its own errors
        reason = f"{shown(url)} cannot be read ({type(error).__name__}: {error})"
        raise Interrupted(reason, unreachable=True) from error


def _regular(descriptor: int, path: Path) -> int:
    """Return the descriptor of a file; that of a folder, or of a pipe that could be waited for, is refused."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FetchFailed(
            f"{path} cannot be read: it is a folder, a pipe or a device; expected a file"
        )
    return descriptor


def _begin(start: int, size: int, validator: str | None, current: str) -> int:
    return start if start <= size and validator in (None, current) else 0


def _chunks(file: IO[bytes], url: str, begin: int, stop: int | None) -> Iterator[bytes]:
    while stop is None or begin < stop:
        with _explained(url):
            chunk = file.read(_READ_BYTES if stop is None else min(_READ_BYTES, stop - begin))
        if not chunk:
            return
        begin += len(chunk)
        yield chunk


def _path(url: str) -> Path:
    split = split_url(url)
    if split.netloc not in ("", "localhost"):
        raise FetchFailed(f"{url} is on another machine; expected file:///folder")
    if not split.path:
        raise FetchFailed(f"{url} names no folder; expected file:///folder")
    return Path(unquote(split.path))
