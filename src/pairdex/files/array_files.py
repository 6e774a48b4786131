"""Files of some arrays that were derived from a part's metadata: mapped, checked whole when opened.

`indexes/<urls|keywords>/00000` belongs to part 0. It is derived: it may be deleted at any time and is made
again. It names the metadata that it was made of, so that one of other rows is noticed.

A file is a magic, the length of the header, the header (JSON with a checksum of itself) padded to 64
bytes, and the arrays, each at a multiple of 64 bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from pairdex.errors import DamagedFile
from pairdex.files import atomic, sealed_json

__all__ = ["Arrays", "open_arrays", "read_source", "write_arrays"]

Arrays = dict[str, NDArray[Any]]

_MAGIC = b"PAIRDEX\0arrays\0\0"
_ALIGNMENT = 64
_REMEDY = "delete it; the next search that needs it makes it again"


def write_arrays(path: Path, arrays: Arrays, *, kind: str, version: int, source: str) -> None:
    """Write arrays of one dimension, atomically.

    Parameters
    ----------
    source
        Names what they were made of.

    Raises
    ------
    WriteFailed
        No room, or no permission.
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
    """Map the arrays of a file; None where there is none, or one of other rows.

    Parameters
    ----------
    source
        What they should be made of; None for whatever it is.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        Other bytes than were written; a foreign file, or one of another version.
    """
    opened = _opened(path, kind, version)
    if opened is None:
        return None
    content, body = opened
    if source is not None and content["source"] != source:
        return None
    if len(body) != content["bytes"] or xxhash.xxh3_128_hexdigest(body.data) != content["body"]:
        raise DamagedFile(f"{path} is damaged: its checksum does not fit; {_REMEDY}")
    return {place["name"]: _array(body, place) for place in content["arrays"]}


def read_source(path: Path, *, kind: str, version: int) -> str | None:
    """Return what a file says it was made of; None where there is none. The arrays are not read.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        Its header is damaged, foreign or of another version.
    """
    opened = _opened(path, kind, version)
    return None if opened is None else str(opened[0]["source"])


def _opened(path: Path, kind: str, version: int) -> tuple[dict[str, Any], NDArray[np.uint8]] | None:
    """Return the content of the header, checked, and the bytes behind it, mapped."""
    try:
        if path.stat().st_size < len(_MAGIC) + 8:
            raise DamagedFile(f"{path} is damaged: it is cut off; {_REMEDY}")
        data = np.memmap(path, np.uint8, mode="r")
    except FileNotFoundError:
        return None
    header, start = _header(path, data)
    content = sealed_json.read_sealed(
        header, path, kind=f"pairdex-{kind}", version=version, remedy=_REMEDY
    )
    return content, data[start:]


def _header(path: Path, data: NDArray[np.uint8]) -> tuple[bytes, int]:
    """Return the header's bytes and where the arrays begin."""
    first = len(_MAGIC) + 8
    if data[: len(_MAGIC)].tobytes() != _MAGIC:
        raise DamagedFile(f"{path} is damaged: it does not begin as it should; {_REMEDY}")
    length = int.from_bytes(data[len(_MAGIC) : first].tobytes(), "little")
    end = first + length
    if end > len(data):
        raise DamagedFile(f"{path} is damaged: it is cut off; {_REMEDY}")
    start = end + -end % _ALIGNMENT
    if data[end:start].any():
        raise DamagedFile(f"{path} is damaged: there is something behind its header; {_REMEDY}")
    return data[first:end].tobytes(), start


def _array(body: NDArray[np.uint8], place: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(place["dtype"])
    end = place["offset"] + place["size"] * dtype.itemsize
    return np.asarray(body[place["offset"] : end]).view(dtype)
