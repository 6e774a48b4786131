"""Files of vectors (.npy, or an array of an .npz), opened with every claim of their header checked.

Rows are read in blocks with plain reads, so memory use does not depend on the size of the file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat
from pairdex.files.boundary import FOREIGN_ERRORS, reading
from pairdex.files.foreign import foreign

__all__ = [
    "VectorFile",
    "npy_description",
    "npy_header",
    "npz_members",
    "open_vectors",
]

_HEADER_LIMIT_BYTES = 1 << 16  # a header of float rows is 128 bytes; more is not one of ours
# Version 3 is version 2 in UTF-8, which only names of fields need; NumPy has no function for it alone.
_HEADER_READERS = {
    1: np.lib.format.read_array_header_1_0,
    2: np.lib.format.read_array_header_2_0,
    3: np.lib.format.read_array_header_2_0,
}
_FLOATS = ("float16", "float32", "float64")
_BFLOAT16 = np.dtype("V2")  # NumPy has no bfloat16; it is saved as two bytes of no meaning
_CONVERT = "save it again as rows: np.save(path, np.ascontiguousarray(rows, np.float32))"


@dataclass(frozen=True)
class VectorFile:
    """A 2-D array of floats on disk, its header checked against the file's size.

    `member` names the array inside an .npz; `offset` is where the numbers begin, in bytes. `dtype` is
    that of the blocks: float32 where the file holds bfloat16. `by_column` says that the file has one
    column after the other (Fortran order).
    """

    path: Path
    rows: int
    dim: int
    dtype: np.dtype[Any]
    offset: int
    member: str | None = None
    by_column: bool = False
    is_bfloat16: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the bytes on disk are the rows as `blocks` gives them."""
        return self.member is None and not self.by_column and not self.is_bfloat16

    @property
    def name(self) -> str:
        """The file's name, with the name of the array if the file holds several."""
        return self.path.name if self.member is None else f"{self.path.name}:{self.member}"

    def blocks(self, block_rows: int) -> Iterator[NDArray[Any]]:
        """Yield the rows in order as new arrays (up to `block_rows`, dim) of the file's dtype.

        Raises
        ------
        DamagedFile
            The file ends early or a compressed member is corrupt.
        """
        with ExitStack() as stack:
            with reading(self.path):
                stream = stack.enter_context(self._stream())
            for start in range(0, self.rows, block_rows):
                block = np.empty((min(block_rows, self.rows - start), self.dim), self._on_disk)
                if self.by_column:
                    self._fill_columns(stream, block, start)
                else:
                    self._fill(stream, block, start)
                yield _widened(block) if self.is_bfloat16 else block

    def mapped(self) -> NDArray[Any]:
        """Return the rows as a read-only memory map (rows, dim).

        Raises
        ------
        UnsupportedFormat
            The file is not plain, so that it cannot be mapped.
        """
        if not self.is_plain:
            raise UnsupportedFormat(f"{self.path} cannot be mapped: {_CONVERT}")
        if self.rows == 0:
            return np.empty((0, self.dim), self.dtype)
        return np.memmap(
            self.path, self.dtype, mode="r", offset=self.offset, shape=(self.rows, self.dim)
        )

    @property
    def _on_disk(self) -> np.dtype[Any]:
        return np.dtype("<u2") if self.is_bfloat16 else self.dtype

    def _fill_columns(self, stream: IO[bytes], block: NDArray[Any], start: int) -> None:
        """Read rows from `start` on, one stretch of each column."""
        piece = np.empty((len(block), 1), block.dtype)
        for column in range(self.dim):
            place = (column * self.rows + start) * block.itemsize
            stream.seek(self.offset + place)
            self._fill(stream, piece, start)
            block[:, column] = piece[:, 0]

    def _fill(self, stream: IO[bytes], block: NDArray[Any], start: int) -> None:
        view = block.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            with reading(f"{self.path} at row {start:,}"):
                count = stream.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise DamagedFile(
                    f"{self.path} ends at row {start + done // (block.shape[1] * block.itemsize):,} "
                    f"of {self.rows:,}: it is truncated; fetch it again"
                )
            done += count

    @contextmanager
    def _stream(self) -> Iterator[IO[bytes]]:
        if self.member is None:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                yield file
        else:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.member}.npy") as file:
                file.read(self.offset)
                yield file


def open_vectors(path: Path, member: str | None = None) -> VectorFile:
    """Open an .npy file, or one array of an .npz, as rows of floats.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        No such file or array; the header disagrees with the size; not a 2-D array of floats.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a file of vectors")
    what = foreign(path)
    if what is not None:
        raise DamagedFile(f"{path} {what}")
    with reading(path):
        if member is not None:
            return _open_npz(path, member)
        with path.open("rb") as file:
            return _parse_npy(file, path, path.stat().st_size)


def npy_header(rows: int, dim: int, dtype: np.dtype[Any]) -> bytes:
    """Return the .npy header of a C-ordered (rows, dim) array: 128 bytes, whatever `rows` is."""
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": False, "shape": (rows, dim)}
    )
    return header.getvalue()


def _parse_npy(
    file: IO[bytes], path: Path, size_bytes: int, member: str | None = None
) -> VectorFile:
    shape, fortran, dtype, offset = npy_description(file, path)
    where = f"{path}" if member is None else f"{path}:{member}"
    is_bfloat16 = dtype == _BFLOAT16
    by_column = fortran and len(shape) == 2 and min(shape) > 1
    known = dtype.name in _FLOATS or is_bfloat16
    if len(shape) != 2 or not known or shape[1] < 1 or (by_column and member is not None):
        order = "Fortran-ordered " if fortran else ""
        raise UnsupportedFormat(
            f"{where} holds {order}{dtype} of shape {shape}; expected rows of floats (n, dim): {_CONVERT}"
        )
    rows, dim = shape
    expected = offset + rows * dim * dtype.itemsize
    if size_bytes != expected:
        raise DamagedFile(
            f"{where} is {size_bytes:,} bytes, its header says {rows:,} rows x {dim} {dtype} = {expected:,} bytes: "
            "it is truncated or damaged; fetch it again"
        )
    if is_bfloat16:
        dtype = np.dtype(np.float32)
    return VectorFile(path, rows, dim, dtype, offset, member, by_column, is_bfloat16)


def _widened(block: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16, which is the upper half of a float32, as float32."""
    return (block.astype(np.uint32) << 16).view(np.float32)


def npy_description(
    file: IO[bytes], path: Path
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Read shape, order, dtype and header size, of a file that is at its beginning.

    NumPy evaluates nothing but literals, and sees no more than `_HEADER_LIMIT_BYTES`, whatever the
    length that the header claims.

    Raises
    ------
    DamagedFile
        The header cannot be read, or describes objects.
    """
    start = io.BytesIO(file.read(_HEADER_LIMIT_BYTES))
    if not start.getvalue().startswith(np.lib.format.MAGIC_PREFIX):
        what = foreign(path) or (
            "is not an .npy file: it does not begin with its magic bytes; fetch it again"
        )
        raise DamagedFile(f"{path} {what}")
    try:
        version, _ = np.lib.format.read_magic(start)
        shape, fortran, dtype = _HEADER_READERS[version](start, max_header_size=_HEADER_LIMIT_BYTES)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(shape, dtype)
    except FOREIGN_ERRORS as error:
        raise DamagedFile(
            f"{path} has an unreadable .npy header: it is damaged; fetch it again"
        ) from error
    return shape, fortran, dtype, start.tell()


def _open_npz(path: Path, member: str) -> VectorFile:
    with zipfile.ZipFile(path) as archive:
        try:
            info = archive.getinfo(f"{member}.npy")
        except KeyError:
            names = ", ".join(npz_members(archive)) or "nothing"
            raise MissingFile(f"{path} holds no array {member}; it holds {names}") from None
        with archive.open(info) as file:
            return _parse_npy(file, path, info.file_size, member)


def npz_members(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the arrays in an open .npz."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
