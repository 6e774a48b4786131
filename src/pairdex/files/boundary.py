"""The boundary of readers: what libraries raise about a foreign file becomes one line about that file."""

from __future__ import annotations

import csv
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from pairdex.errors import DamagedFile, PairdexError

__all__ = ["FOREIGN_ERRORS", "reading", "reason_of"]

FOREIGN_ERRORS = (
    OSError,
    EOFError,
    ArithmeticError,
    AssertionError,  # of Python's own parsers
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,  # NotImplementedError and RecursionError among them
    TypeError,
    ValueError,  # UnicodeError among them
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    csv.Error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    pa.ArrowException,
)
"""What h5py, zipfile, NumPy, pyarrow and Python raise about bytes that they cannot make sense of."""

_REASON_CHARS = 200


@contextmanager
def reading(path: object, *, advice: str = "fetch it again") -> Iterator[None]:
    """Turn what goes wrong inside into DamagedFile; errors of ours pass.

    Only reading belongs inside: a mistake of this package would be reported as the file's.

    Parameters
    ----------
    path
        The file, with the place in it where that is known.
    advice
        What to do about it.

    Raises
    ------
    DamagedFile
        A library raised.
    """
    try:
        yield
    except PairdexError:
        raise
    except FOREIGN_ERRORS as error:
        raise DamagedFile(f"{path} cannot be read: {reason_of(error)}; {advice}") from error


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one short line of text."""
    text = str(error).encode(errors="replace").decode()
    said = "".join(c if c.isprintable() else " " for c in text)
    said = " ".join(said.split())[:_REASON_CHARS].rstrip(" .:;")
    if isinstance(error, MemoryError):
        return f"it needs more memory than there is ({said or 'of an unknown size'})"
    return said or {"EOFError": "it ends early"}.get(type(error).__name__, type(error).__name__)
