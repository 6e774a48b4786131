"""What was known of a folder's pictures when they were last looked at: `photos.state` in the collection.

The file is a line with its format and the checksum of what follows, then an Arrow stream. Whatever it
says can be found out again from the collection and the pictures, by reading all of them.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files import atomic, checksums

__all__ = ["STATE", "STATE_REMEDY", "Known", "PhotoState", "read_state", "write_state"]

STATE = "photos.state"
STATE_REMEDY = "run pairdex photos again: it compares all pictures by their content"

_VERSION = 1
_HEAD = re.compile(rb"pairdex-photos (\d+) ([0-9a-f]{32})\n")
_ROOT = b"root"
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("inode", pa.uint64()),
        ("beside", pa.string()),
        ("caption", pa.string()),
        ("values", pa.string()),
        ("content", pa.string()),
        ("id", pa.int64()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Known:
    """What is known of a picture.

    Attributes
    ----------
    bytes, mtime_ns, inode
        Of its file; `mtime_ns` is 0 where the file must be read again to know whether it changed.
    beside
        A checksum of what lies beside it: the stamps of caption files, its line in tables.
    caption, values
        Checksums of its caption and of its further values; empty where they are not known.
    content
        The checksum of its bytes.
    id
        Its row; -1 where it could not be read.
    reason
        Why it could not be read.
    """

    bytes: int
    mtime_ns: int
    inode: int
    beside: str
    caption: str
    values: str
    content: str
    id: int
    reason: str = ""


@dataclass
class PhotoState:
    """The pictures of the folder `root`, by name below it."""

    root: str
    pictures: dict[str, Known] = field(default_factory=dict)


def read_state(collection: Path) -> PhotoState | None:
    """Return what was known; None where nothing was written yet.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The file has changed since it was written, or is of a newer release.
    """
    path = collection / STATE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    head = _HEAD.match(data)
    if head is None:
        raise DamagedFile(f"{path} is damaged: it does not begin as a state of pictures")
    if int(head[1]) != _VERSION:
        raise UnsupportedFormat(
            f"{path} has format version {int(head[1])}, this release reads version {_VERSION}; "
            "upgrade pairdex"
        )
    content = data[head.end() :]
    if checksums.of_bytes(content) != head[2].decode():
        raise DamagedFile(f"{path} is damaged: its checksum does not fit")
    table = pa.ipc.open_stream(pa.py_buffer(content)).read_all()
    root = table.schema.metadata[_ROOT].decode("utf-8", "surrogateescape")
    names, *columns = (column.to_pylist() for column in table.columns)
    known = [Known(*values) for values in zip(*columns, strict=True)]
    return PhotoState(root, dict(zip(names, known, strict=True)))


def write_state(collection: Path, state: PhotoState) -> None:
    """Write what is known now.

    Raises
    ------
    WriteFailed
        No room, or no permission; an older file is untouched.
    """
    rows = [asdict(one) for one in state.pictures.values()]
    columns = [pa.array(list(state.pictures), pa.string())]
    columns += [pa.array([row[one.name] for row in rows], one.type) for one in list(_SCHEMA)[1:]]
    metadata = {_ROOT: state.root.encode("utf-8", "surrogateescape")}
    table = pa.Table.from_arrays(columns, schema=_SCHEMA.with_metadata(metadata))
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    content = stream.getvalue().to_pybytes()
    head = f"pairdex-photos {_VERSION} {checksums.of_bytes(content)}\n".encode()
    atomic.write_bytes(collection / STATE, head + content)
