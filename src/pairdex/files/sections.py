"""The container of indexes: a header as JSON with a checksum, then arrays that are memory-mapped.

The header holds the checksum of each array. Byte by byte: docs/formats.md.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Generic, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat
from pairdex.files import checksums, foreign_json
from pairdex.files.boundary import reading
from pairdex.files.typed_json import typed

__all__ = ["REMEDY", "SectionedFile", "SectionedHeader", "Sections", "Writer"]

REMEDY = "build it again with pairdex index"

_PREFIX = struct.Struct("<8sII32s")  # magic, version, bytes of the JSON after it, its checksum
_ALIGNMENT = 64  # bytes: a cache line
_PAGE = 4096
_MAX_HEADER_BYTES = 64 * 2**20  # enough for a million parts; a longer header is damaged
_READ_BYTES = 2**24

Sections = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]


@dataclass(frozen=True)
class SectionedHeader:
    """What the header of every such file has.

    Attributes
    ----------
    checksums
        The checksum of each section.
    """

    MAGIC: ClassVar[bytes]
    VERSION: ClassVar[int]
    checksums: dict[str, str]

    def sections(self) -> Sections:
        """Return each section's dtype and shape, in their order in the file."""
        raise NotImplementedError

    def offsets(self) -> Iterator[tuple[str, int, int]]:
        """Yield each section's name, offset and size in bytes."""
        at = self._begin()
        for name, (dtype, shape) in self.sections().items():
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            yield name, at, size
            at = -(-(at + size) // _ALIGNMENT) * _ALIGNMENT

    def encoded(self) -> bytes:
        """Return the bytes before the first section."""
        text = self._text()
        prefix = _PREFIX.pack(
            self.MAGIC, self.VERSION, len(text), checksums.of_bytes(text).encode()
        )
        return (prefix + text).ljust(self._begin(), b"\0")

    def text_end(self) -> int:
        """Return the end of the header's text; only zeros lie between it and the first section."""
        return _PREFIX.size + len(self._text())

    def _text(self) -> bytes:
        content = dict(vars(self))
        content["checksums"] = content.pop("checksums")  # last, wherever the field stands
        return json.dumps(content).encode()

    def _begin(self) -> int:
        return -(-self.text_end() // _PAGE) * _PAGE


Header = TypeVar("Header", bound=SectionedHeader)


class SectionedFile(Generic[Header]):
    """An opened file: its header, and its sections as read-only maps.

    Opening compares the header with its checksum and the size with the header; `verify` reads the rest.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        Missing; truncated, or with a damaged header; a foreign file, or of a newer version.
    """

    def __init__(self, path: Path, kind: type[Header]) -> None:
        self.path = path
        self.header = _read_header(path, kind)
        content = np.memmap(path, np.uint8, mode="r")
        *_, (_, last, size) = self.header.offsets()
        if len(content) != last + size:
            raise DamagedFile(
                f"{path} has {len(content):,} bytes, expected {last + size:,}: {REMEDY}"
            )
        self._content = content

    @property
    def seal(self) -> str:
        """The checksum of the header, which holds those of all sections."""
        return checksums.of_bytes(self.header.encoded())

    def section(self, name: str) -> NDArray[Any]:
        """Return a section, mapped."""
        dtype, shape = self.header.sections()[name]
        at, size = next((a, s) for each, a, s in self.header.offsets() if each == name)
        return self._content[at : at + size].view(dtype).reshape(shape)

    def private_section(self, name: str) -> NDArray[Any]:
        """Return a section to change: what is written stays in memory, and the file as it is."""
        dtype, shape = self.header.sections()[name]
        at = next(a for each, a, _ in self.header.offsets() if each == name)
        return np.memmap(self.path, dtype, mode="c", offset=at, shape=shape)

    def verify(self, *names: str) -> None:
        """Read the named sections (all if none is named) and compare them with their checksums.

        Raises
        ------
        DamagedFile
            A section differs, or bytes between sections are not zero.
        """
        if not names:
            self._verify_gaps()
        for name in names or self.header.checksums:
            data = np.asarray(self.section(name)).reshape(-1).view(np.uint8)
            digest = xxhash.xxh3_128()
            for first in range(0, len(data), _READ_BYTES):
                digest.update(data[first : first + _READ_BYTES].data)
            if digest.hexdigest() != self.header.checksums[name]:
                raise DamagedFile(
                    f"the section {name} of {self.path} differs from its checksum: {REMEDY}"
                )

    def _verify_gaps(self) -> None:
        end = self.header.text_end()
        for name, at, size in self.header.offsets():
            if self._content[end:at].any():
                raise DamagedFile(
                    f"{self.path} has unexpected bytes before the section {name}: {REMEDY}"
                )
            end = at + size


class Writer:
    """Writes sections into a file, each in consecutive pieces, then the header.

    The checksums in `header` are placeholders until `finish` sets them.
    """

    def __init__(self, file: BinaryIO, header: SectionedHeader) -> None:
        self._file = file
        self.header = header
        names = header.sections()
        header.checksums.update(dict.fromkeys(names, "0" * 32))
        self._ends = {name: at for name, at, _ in header.offsets()}
        self._digests = {name: xxhash.xxh3_128() for name in names}

    def add(self, name: str, data: NDArray[Any]) -> None:
        """Append to a section."""
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self._file.seek(self._ends[name])
        self._file.write(flat.data)
        self._digests[name].update(flat.data)
        self._ends[name] += len(flat)

    def finish(self) -> None:
        """Write the header."""
        for name, at, size in self.header.offsets():
            assert self._ends[name] == at + size, f"{name} is not complete"
            self.header.checksums[name] = self._digests[name].hexdigest()
        self._file.seek(0)
        self._file.write(self.header.encoded())


def _read_header(path: Path, kind: type[Header]) -> Header:
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX.size)
            if prefix[: len(kind.MAGIC)] != kind.MAGIC:
                raise UnsupportedFormat(f"{path} is not an index of pairdex: {REMEDY}")
            if len(prefix) < _PREFIX.size:
                raise DamagedFile(f"{path} ends in its header: {REMEDY}")
            _, version, length, checksum = _PREFIX.unpack(prefix)
            if version != kind.VERSION:
                raise UnsupportedFormat(
                    f"{path} has format version {version}, this release reads {kind.VERSION}: {REMEDY}"
                )
            text = file.read(min(length, _MAX_HEADER_BYTES))
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist: {REMEDY}") from error
    if checksums.of_bytes(text).encode() != checksum:
        raise DamagedFile(f"the header of {path} differs from its checksum: {REMEDY}")
    with reading(path, advice=REMEDY):
        return typed(kind, foreign_json.parse(text), "its header")
