"""Files of arrays derived from a part's metadata: mapped, and checked completely when opened.

`indexes/<urls|keywords>/00000` belongs to part 0. It may be deleted at any time and is rebuilt when
needed. It names the metadata that it was made from, so a file made from other rows is detected.

A file consists of a magic, the length of the header, the header (JSON with a checksum of itself) padded to 64
bytes, and the arrays, each at a multiple of 64 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from pairdex.errors import DamagedFile
from pairdex.files import atomic, sealed_json
from pairdex.files.boundary import reading
from pairdex.files.typed_json import sealed_record

__all__ = ["Arrays", "open_arrays", "read_source", "write_arrays"]

Arrays = dict[str, NDArray[Any]]

_MAGIC = b"PAIRDEX\0arrays\0\0"
_ALIGNMENT = 64
_REMEDY = "delete it; the next search that needs it rebuilds it"


@dataclass(frozen=True)
class _Place:
    """Where an array lies: `offset` in bytes after the header, `size` in numbers."""

    name: str
    dtype: str
    size: int
    offset: int


@dataclass(frozen=True)
class _Header:
    """What a header says: the data that the arrays were made from, and their bytes and checksum."""

    source: str
    arrays: list[_Place]
    bytes: int
    body: str


def write_arrays(path: Path, arrays: Arrays, *, kind: str, version: int, source: str) -> None:
    """Write one-dimensional arrays, atomically.

    Parameters
    ----------
    source
        Names the data that they were made from.

    Raises
    ------
    WriteFailed
        Disk full, or no permission.
    """
    places: list[dict[str, Any]] = []
    pieces: list[bytes | memoryview] = []
    end, digest = 0, xxhash.xxh3_128()
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).view(np.uint8).data
        places.append({"name": name, "dtype": array.dtype.str, "size": array.size, "offset": end})
        padding = bytes(-len(data) % _ALIGNMENT)
        pieces += [data, padding]
        digest.update(data)
        digest.update(padding)
        end += len(data) + len(padding)
    header = sealed_json.sealed(
        {
            "format": f"pairdex-{kind}",
            "version": version,
            "source": source,
            "arrays": places,
            "bytes": end,
            "body": digest.hexdigest(),
        }
    )
    start = len(_MAGIC) + 8 + len(header)
    with atomic.replacing(path) as file:
        file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
        file.write(bytes(-start % _ALIGNMENT))
        for piece in pieces:
            file.write(piece)


def open_arrays(path: Path, *, kind: str, version: int, source: str | None) -> Arrays | None:
    """Map the arrays of a file. Return None if it is missing or was made from other data.

    Parameters
    ----------
    source
        The data that they should be made from; None accepts any.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The bytes differ from those written; a foreign file, or another version.
    """
    opened = _opened(path, kind, version)
    if opened is None:
        return None
    header, body = opened
    if source is not None and header.source != source:
        return None
    if len(body) != header.bytes or xxhash.xxh3_128_hexdigest(body.data) != header.body:
        raise DamagedFile(f"{path} is damaged: its checksum does not match; {_REMEDY}")
    with reading(path, advice=_REMEDY):
        return {place.name: _array(body, place) for place in header.arrays}


def read_source(path: Path, *, kind: str, version: int) -> str | None:
    """Return the name of the data that a file was made from, without reading its arrays; None if missing.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        Its header is damaged, foreign or of another version.
    """
    opened = _opened(path, kind, version)
    return None if opened is None else opened[0].source


def _opened(path: Path, kind: str, version: int) -> tuple[_Header, NDArray[np.uint8]] | None:
    """Return the checked content of the header, and the bytes after it as a map; None if missing."""
    try:
        if path.stat().st_size < len(_MAGIC) + 8:
            raise DamagedFile(f"{path} is damaged: it is cut off; {_REMEDY}")
        data = np.memmap(path, np.uint8, mode="r")
    except FileNotFoundError:
        return None
    text, start = _header(path, data)
    content = sealed_json.read_sealed(
        text, path, kind=f"pairdex-{kind}", version=version, remedy=_REMEDY
    )
    return sealed_record(_Header, content, path, advice=_REMEDY), data[start:]


def _header(path: Path, data: NDArray[np.uint8]) -> tuple[bytes, int]:
    """Return the header's bytes and where the arrays begin."""
    first = len(_MAGIC) + 8
    if data[: len(_MAGIC)].tobytes() != _MAGIC:
        raise DamagedFile(f"{path} is damaged: it does not begin with its magic bytes; {_REMEDY}")
    length = int.from_bytes(data[len(_MAGIC) : first].tobytes(), "little")
    end = first + length
    if end > len(data):
        raise DamagedFile(f"{path} is damaged: it is cut off; {_REMEDY}")
    start = end + -end % _ALIGNMENT
    if data[end:start].any():
        raise DamagedFile(f"{path} is damaged: unexpected bytes after its header; {_REMEDY}")
    return data[first:end].tobytes(), start


def _array(body: NDArray[np.uint8], place: _Place) -> NDArray[Any]:
    dtype = np.dtype(place.dtype)
    end = place.offset + place.size * dtype.itemsize
    if dtype.hasobject or min(place.offset, place.size) < 0 or end > len(body):
        raise ValueError(f"the array {place.name} is not in the file")
    return np.asarray(body[place.offset : end]).view(dtype)
