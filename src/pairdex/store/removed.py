"""The tombstones of a collection, `removed.arrow`: which rows were removed, why and when.

No search finds a row listed here and nothing shows it. Its vectors stay in their files, because ids never
change. A file that is unreadable or missing is an error; it never means that nothing was removed. The
file is small and is read whole: a memory map could shrink while it is being read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.files import atomic, checksums
from pairdex.store.manifest import MANIFEST, Manifest, VectorField

__all__ = [
    "MAX_REASON_CHARS",
    "REMEDY",
    "REMOVED",
    "Tombstones",
    "add_removed",
    "check_reason",
    "copy_removed",
    "missing",
    "read_reasons",
    "read_removed",
    "state_of",
]

REMOVED = "removed.arrow"
FORMAT = "pairdex-removed"
FORMAT_VERSION = "1"
MAX_REASON_CHARS = 1_000  # a longer reason is likely a mistake: it is stored with every row

_OWNER: VectorField = "image"  # the vectors that identify the rows: every collection has them
_MAGIC = b"ARROW1"
_BATCH_ROWS = 1 << 20  # of the file: 30 MB, or more with long reasons
_NO_CHECKSUM = b"0" * 32  # the placeholder for the file's own checksum while it is computed
_FIELDS = [
    pa.field("id", pa.int64(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
]
REMEDY = "restore it from a copy; deleting it would bring the removed rows back"

State = tuple[int, int, int, int]
"""The version of a file, known without reading it: inode, size, mtime, ctime."""


@dataclass(frozen=True)
class Tombstones:
    """The removed rows of one version of a collection.

    Attributes
    ----------
    live
        Shape (rows,): true for rows that were not removed.
    count
        The number of removed rows.
    checksum
        The checksum of the removed ids; it does not depend on the times and reasons of removal.
    """

    live: NDArray[np.bool_]
    count: int
    checksum: str


def state_of(folder: Path) -> State | None:
    """Return a value that changes whenever the file changes; None if the collection has no such file.

    Raises
    ------
    MissingFile
        The folder no longer holds a collection, so it is unknown whether rows were removed.
    """
    try:
        status = os.stat(f"{folder}{os.sep}{REMOVED}")  # noqa: PTH116 - asked by every request
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.exists(f"{folder}{os.sep}{MANIFEST}"):  # noqa: PTH110
            raise MissingFile(
                f"{folder} was moved or deleted: it has no {MANIFEST} any more; restore it, or open "
                "the collection at its new path"
            ) from None
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_removed(folder: Path, manifest: Manifest) -> Tombstones | None:
    """Read the tombstones of a collection from its file; None if they list no row of `manifest`.

    Ids of parts added after `manifest` was read are ignored.

    Raises
    ------
    MissingFile
        The file does not exist or has disappeared.
    DamagedFile, UnsupportedFormat, Mismatch
        The file is damaged, has another format or a newer version, or belongs to another collection.
    """
    content = _content(folder / REMOVED)
    if content is None:
        raise missing(folder)
    ids = np.array(_table(folder / REMOVED, content, manifest)["id"], np.int64)
    ids = ids[: np.searchsorted(ids, manifest.rows)]
    if not len(ids):
        return None
    live = np.ones(manifest.rows, np.bool_)
    live[ids] = False
    return Tombstones(live, len(ids), checksums.of_bytes(ids.astype("<i8").tobytes()))


def read_reasons(folder: Path, manifest: Manifest) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the removed ids, ascending, and the reason of each; both empty if no row was removed.

    Raises
    ------
    DamagedFile, UnsupportedFormat, Mismatch
        As `read_removed`.
    """
    content = _content(folder / REMOVED)
    table = (
        pa.schema(_FIELDS).empty_table()
        if content is None
        else _table(folder / REMOVED, content, manifest)
    )
    return np.array(table["id"], np.int64), table["reason"].combine_chunks()


def missing(folder: Path) -> MissingFile:
    """Return the error for a collection whose file of removed rows has disappeared."""
    return MissingFile(f"{folder / REMOVED} is missing, although rows were removed: {REMEDY}")


def check_reason(reason: str) -> None:
    """Raise InvalidArgument unless the reason is one line of printable text."""
    if not reason.strip():
        raise InvalidArgument(
            "the reason is empty; state why the rows are removed, e.g. 'takedown 17'",
            field="reason",
        )
    if not reason.isprintable():
        raise InvalidArgument(
            f"the reason {reason!r:.80} has characters that cannot be printed, expected one line of text",
            field="reason",
        )
    if len(reason) > MAX_REASON_CHARS:
        raise InvalidArgument(
            f"the reason {reason!r:.80} has {len(reason):,} characters, expected at most "
            f"{MAX_REASON_CHARS:,}",
            field="reason",
        )


def add_removed(
    folder: Path, manifest: Manifest, ids: NDArray[np.int64], *, reason: str, time: datetime
) -> int:
    """Add rows to the tombstones. The caller must hold their lock (`lock.removing`).

    Rows that were removed earlier keep their reason and time.

    Parameters
    ----------
    ids
        Shape (n,): ascending, unique, all in range.
    time
        The time of removal, with its time zone.

    Returns
    -------
    int
        The number of newly removed rows.

    Raises
    ------
    DamagedFile, UnsupportedFormat, Mismatch
        The existing file cannot be read; it stays unchanged.
    WriteFailed
        The new file cannot be written; the existing file stays unchanged.
    """
    path = folder / REMOVED
    content = _content(path)
    before = (
        pa.schema(_FIELDS).empty_table() if content is None else _table(path, content, manifest)
    )
    new = np.setdiff1d(ids, np.array(before["id"], np.int64), assume_unique=True)
    if not len(new):
        return 0
    _write(folder, manifest, _merged(before, new, reason, time))
    return len(new)


def copy_removed(
    folder: Path, manifest: Manifest, first: int, new: Path, new_manifest: Manifest
) -> None:
    """Write the tombstones of a collection whose rows are those from `first` on of the one in `folder`.

    Reasons and times stay as they are. Without removed rows among them, nothing is written.

    Raises
    ------
    DamagedFile, UnsupportedFormat, Mismatch, WriteFailed
        As `add_removed`.
    """
    content = _content(folder / REMOVED)
    if content is None:
        return
    table = _table(folder / REMOVED, content, manifest)
    ids = np.array(table["id"], np.int64)
    start, stop = np.searchsorted(ids, [first, first + new_manifest.rows])
    if start == stop:
        return
    moved = pa.array(ids[start:stop] - first, pa.int64())
    inside = table.slice(start, stop - start).set_column(0, _FIELDS[0], moved)
    _write(new, new_manifest, [inside.combine_chunks()])


def _write(folder: Path, manifest: Manifest, tables: Iterable[pa.Table]) -> None:
    """Write the file of tombstones from tables in ascending order of ids."""
    for leftover in atomic.partials(folder, REMOVED):
        leftover.unlink(missing_ok=True)
    metadata = {
        b"format": FORMAT.encode(),
        b"version": FORMAT_VERSION.encode(),
        b"vectors": "\n".join(manifest.vector_checksums(_OWNER)).encode(),
        b"checksum": _NO_CHECKSUM,
    }
    with atomic.replacing(folder / REMOVED) as file:
        with pa.ipc.new_file(file, pa.schema(_FIELDS, metadata)) as stream:
            for table in tables:
                stream.write_table(table)
        _write_checksum(file)


def _content(path: Path) -> bytes | None:
    """Return the bytes of the file; None if it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _table(path: Path, content: bytes, manifest: Manifest) -> pa.Table:
    """Check the checksum and owner of a file with these bytes, and return its rows."""
    if not content.startswith(_MAGIC):
        raise UnsupportedFormat(f"{path} is not a file of removed rows: {REMEDY}")
    try:
        source = pa.ipc.open_file(pa.BufferReader(content))
        metadata = source.schema.metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error
    if metadata.get(b"format") != FORMAT.encode():
        raise UnsupportedFormat(f"{path} is not a file of removed rows: {REMEDY}")
    if metadata.get(b"version") != FORMAT_VERSION.encode():
        version = metadata.get(b"version", b"")
        if not version.isdigit():
            raise _damaged(path, "it has no format version")
        raise UnsupportedFormat(
            f"{path} has format version {version.decode()}, this release reads version {FORMAT_VERSION}; "
            "upgrade pairdex"
        )
    claimed = metadata.get(b"checksum", b"")
    if not claimed or _checksum(content, _checksum_offsets(content, claimed)) != claimed:
        raise _damaged(path, "its checksum does not match")
    _check_owner(path, metadata.get(b"vectors", b"").decode().split("\n"), manifest)
    table = source.read_all().replace_schema_metadata(None)
    ids = np.array(table["id"], np.int64)
    if list(table.schema) != _FIELDS or (np.diff(ids, prepend=-1) < 1).any():
        raise _damaged(path, "its ids are not ascending")
    return table


def _check_owner(path: Path, vectors: list[str], manifest: Manifest) -> None:
    """Raise Mismatch for tombstones of other rows.

    Only common parts are compared: parts may have been added after the tombstones or the manifest.
    """
    ours = manifest.vector_checksums(_OWNER)
    shared = min(len(ours), len(vectors))
    if ours[:shared] != vectors[:shared]:
        raise Mismatch(f"{path} belongs to another collection: its ids name other rows; {REMEDY}")


def _damaged(path: Path, reason: str) -> DamagedFile:
    return DamagedFile(f"{path} is damaged: {reason}; {REMEDY}")


def _merged(
    before: pa.Table, new: NDArray[np.int64], reason: str, time: datetime
) -> Iterator[pa.Table]:
    """Yield old and new tombstones by ascending id, one batch at a time."""
    schema = pa.schema(_FIELDS)
    old = np.array(before["id"], np.int64)
    ids = np.concatenate([old, new])
    order = np.argsort(ids, kind="stable")
    for first in range(0, len(ids), _BATCH_ROWS):
        places = order[first : first + _BATCH_ROWS]
        added = ids[places[places >= len(old)]]
        columns = [
            pa.array(added, pa.int64()),
            pa.repeat(pa.scalar(reason, pa.string()), len(added)),
            pa.repeat(pa.scalar(time, schema.field("time").type), len(added)),
        ]
        kept = before.take(pa.array(places[places < len(old)]))
        both = pa.concat_tables([kept, pa.Table.from_arrays(columns, schema=schema)])
        yield both.sort_by("id").combine_chunks()


def _write_checksum(file: BinaryIO) -> None:
    """Replace the placeholder _NO_CHECKSUM in the file with the file's checksum."""
    file.flush()
    content = Path(file.name).read_bytes()
    places = _checksum_offsets(content, _NO_CHECKSUM)
    checksum = _checksum(content, places)
    for place in places:
        file.seek(place)
        file.write(checksum)


def _checksum_offsets(content: bytes, checksum: bytes) -> list[int]:
    """Return the offsets of the checksum: in the schema, which is stored before and after the rows."""
    return sorted({content.find(checksum), content.rfind(checksum)} - {-1})


def _checksum(content: bytes, places: list[int]) -> bytes:
    """Return the XXH3-128 of the file with _NO_CHECKSUM at these offsets."""
    digest = xxhash.xxh3_128()
    done = 0
    view = memoryview(content)
    for place in places:
        digest.update(view[done:place])
        digest.update(_NO_CHECKSUM)
        done = place + len(_NO_CHECKSUM)
    digest.update(view[done:])
    return digest.hexdigest().encode()
