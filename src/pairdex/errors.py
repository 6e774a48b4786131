"""Every error that pairdex raises on purpose.

The tree (each also derives from the built-in that a caller would expect)::

    PairdexError
    ├── InvalidArgument (ValueError)       a value from the caller: k of 0, an id out of range, empty text
    │   └── InvalidPredicate               a --where that is no predicate over the columns
    ├── DamagedFile (ValueError)           truncated, corrupt, or not what its header says
    ├── UnsupportedFormat (ValueError)     a foreign file, or one of a newer format version
    ├── Mismatch (ValueError)              things that do not belong together: rows, dims, models
    ├── MissingFile (FileNotFoundError)    a file or folder that should be there
    ├── CollectionBusy (RuntimeError)      another process is writing this collection
    ├── FetchFailed (ConnectionError)      files that could not be fetched: gone, refused, unreachable
    ├── WriteFailed (OSError)              disk full, read-only target, no permission
    ├── EngineFailed (RuntimeError)        ClickHouse is down, refuses, is too old, or failed
    ├── ServiceFailed (RuntimeError)       a pairdex service refused, failed, or is not there
    └── MissingExtra (ImportError)         an optional dependency is not installed

A message says what, where, got, expected and what to do, in one line: lower-case start, no full stop.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "CollectionBusy",
    "DamagedFile",
    "EngineFailed",
    "FetchFailed",
    "InvalidArgument",
    "InvalidPredicate",
    "Mismatch",
    "MissingExtra",
    "MissingFile",
    "PairdexError",
    "ServiceFailed",
    "UnsupportedFormat",
    "WriteFailed",
]


class PairdexError(Exception):
    """Base of all errors that pairdex raises on purpose; `code` names the kind for machines."""

    code: ClassVar[str] = "error"


class InvalidArgument(PairdexError, ValueError):
    """A value from the caller cannot be used; `field` names the argument where there is one."""

    code = "invalid_argument"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidPredicate(InvalidArgument):
    """A filter that is not one SQL predicate over the columns at hand."""

    code = "invalid_predicate"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="where")


class DamagedFile(PairdexError, ValueError):
    """A file is truncated, corrupt, or not what its header says."""

    code = "damaged_file"


class UnsupportedFormat(PairdexError, ValueError):
    """A file is of a foreign kind or of a format version that this release does not know."""

    code = "unsupported_format"


class Mismatch(PairdexError, ValueError):
    """Two things do not belong together: row counts, dimensions, dtypes, models."""

    code = "mismatch"


class MissingFile(PairdexError, FileNotFoundError):
    """A file or folder that should be there is not."""

    code = "missing_file"

    def __str__(self) -> str:  # OSError would print a tuple
        return str(self.args[0]) if self.args else ""


class CollectionBusy(PairdexError, RuntimeError):
    """Another process is writing this collection."""

    code = "collection_busy"


class FetchFailed(PairdexError, ConnectionError):
    """A file could not be fetched: it is gone, refused, unreachable, or never arrives whole."""

    code = "fetch_failed"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class WriteFailed(PairdexError, OSError):
    """A file could not be written: disk full, read-only target, no permission."""

    code = "write_failed"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class EngineFailed(PairdexError, RuntimeError):
    """A database engine is down, refuses, is too old, or failed at what was asked of it."""

    code = "engine_failed"


class ServiceFailed(PairdexError, RuntimeError):
    """A service refused a request, failed at it, or cannot be reached; the message is the service's own.

    Attributes
    ----------
    status
        The HTTP status; 0 where there was no answer.
    reason
        The service's code for it, as `not_found`; `unavailable` where no pairdex service answered.
    field
        The field of the request that it is about, where there is one.
    """

    code = "service_failed"

    def __init__(self, message: str, *, status: int, reason: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.field = field


class WeakFileSystem(UserWarning):
    """A file system lacks something that protects files; the work goes on, and the message says what is lost."""


class MissingExtra(PairdexError, ImportError):
    """An optional dependency is not installed; the message holds the exact install line."""

    code = "missing_extra"
