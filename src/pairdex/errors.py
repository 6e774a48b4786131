"""All errors that pairdex raises deliberately.

The tree (each error also derives from the built-in that a caller would expect)::

    PairdexError
    ├── InvalidArgument (ValueError)       a value from the caller: k of 0, an id out of range, empty text
    │   ├── InvalidPredicate               a --where that is not a predicate over the columns
    │   └── NoSuchRow (KeyError, IndexError)  an id out of range, or of a removed row
    ├── DamagedFile (ValueError)           truncated, corrupt, or not what its header says
    ├── UnsupportedFormat (ValueError)     a foreign file, or a newer format version
    ├── Mismatch (ValueError)              two things that do not belong together: rows, dims, models
    ├── MissingFile (FileNotFoundError)    a file or folder that should exist
    ├── CollectionBusy (RuntimeError)      another process is writing this collection
    ├── FetchFailed (ConnectionError)      a file could not be fetched: gone, refused, unreachable
    ├── WriteFailed (OSError)              disk full, read-only target, no permission
    ├── EngineFailed (RuntimeError)        ClickHouse is down, refuses, is too old, or fails
    ├── ClusterFailed (RuntimeError)       a Ray cluster cannot be reached, or its nodes cannot do the work
    ├── AdapterFailed (RuntimeError)       an algorithm that `bench --run` measures stopped with an error
    ├── ServiceFailed (RuntimeError)       a pairdex service refused, failed, or is unreachable
    └── MissingExtra (ImportError)         an optional dependency is not installed

A message is one line that says what is wrong, where, what was found, what was expected, and what to
do. It starts in lower case and has no full stop.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AdapterFailed",
    "ClusterFailed",
    "CollectionBusy",
    "DamagedFile",
    "EngineFailed",
    "FetchFailed",
    "InvalidArgument",
    "InvalidPredicate",
    "Mismatch",
    "MissingExtra",
    "MissingFile",
    "NoSuchRow",
    "PairdexError",
    "ServiceFailed",
    "UnsupportedFormat",
    "WriteFailed",
]


class PairdexError(Exception):
    """Base of all errors that pairdex raises deliberately; `code` names the kind for programs.

    The message is one printable line, whatever names and bytes of files it repeats.
    """

    code: ClassVar[str] = "error"

    def __str__(self) -> str:
        text = str(self.args[0]) if self.args else ""
        return text if text.isprintable() else "".join(map(_printable, text))

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of the traceback: one line."""
        return [f"{type(self).__name__}: {self}"]


class InvalidArgument(PairdexError, ValueError):
    """A value from the caller cannot be used; `field` names the argument if there is one."""

    code = "invalid_argument"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidPredicate(InvalidArgument):
    """A filter that is not a single SQL predicate over the columns."""

    code = "invalid_predicate"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="where")


class NoSuchRow(InvalidArgument, KeyError, IndexError):
    """An id that is out of range, or of a row that was removed."""

    def __str__(self) -> str:  # KeyError would print the quotes
        return str(self.args[0]) if self.args else ""


class DamagedFile(PairdexError, ValueError):
    """A file is truncated, corrupt, or not what its header says."""

    code = "damaged_file"


class UnsupportedFormat(PairdexError, ValueError):
    """A file of a foreign kind, or of a format version that this release does not know."""

    code = "unsupported_format"


class Mismatch(PairdexError, ValueError):
    """Two things do not belong together: row counts, dimensions, dtypes, models."""

    code = "mismatch"


class MissingFile(PairdexError, FileNotFoundError):
    """A file or folder does not exist."""

    code = "missing_file"


class CollectionBusy(PairdexError, RuntimeError):
    """Another process is writing this collection."""

    code = "collection_busy"


class FetchFailed(PairdexError, ConnectionError):
    """A file could not be fetched: it is gone, refused, unreachable, or never arrives complete."""

    code = "fetch_failed"


class WriteFailed(PairdexError, OSError):
    """A file could not be written: disk full, read-only target, no permission."""

    code = "write_failed"


class EngineFailed(PairdexError, RuntimeError):
    """A database engine is down, refuses, is too old, or failed."""

    code = "engine_failed"


class ClusterFailed(PairdexError, RuntimeError):
    """A cluster cannot be reached, or its nodes cannot do the work."""

    code = "cluster_failed"


class ServiceFailed(PairdexError, RuntimeError):
    """A service refused a request, failed, or cannot be reached; the message is that of the service.

    Attributes
    ----------
    status
        The HTTP status; 0 if there was no answer.
    reason
        The service's error code, e.g. `not_found`; `unavailable` if no pairdex service answered.
    field
        The field of the request that caused it, if there is one.
    """

    code = "service_failed"

    def __init__(self, message: str, *, status: int, reason: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.field = field


class AdapterFailed(PairdexError, RuntimeError):
    """A measured adapter stopped with an error, or was killed because it needed more memory than allowed."""

    code = "adapter_failed"


class WeakFileSystem(UserWarning):
    """A file system lacks something that protects files; the work goes on, and the message says what is lost."""


class MissingExtra(PairdexError, ImportError):
    """An optional dependency is not installed; the message contains the command that installs it."""

    code = "missing_extra"


def _printable(character: str) -> str:
    """Return a character as a terminal and UTF-8 can carry it: spaces for breaks, escapes for the rest."""
    if character.isprintable():
        return character
    return " " if character in "\t\r\n" else character.encode("unicode_escape").decode("ascii")
