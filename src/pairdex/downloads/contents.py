"""Check by its format whether a file without a published checksum is complete."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

from pairdex.errors import DamagedFile
from pairdex.files.boundary import reading
from pairdex.files.hdf5 import HDF5_SUFFIXES, check_whole
from pairdex.files.vectors import npy_description

__all__ = ["check_contents"]

_PARQUET_MAGIC = b"PAR1"  # the first four and the last four bytes of the file


def check_contents(path: Path, name: str) -> None:
    """Check that a file ends where its format says; skip unknown formats.

    Parameters
    ----------
    path
        The file.
    name
        Its final name; the suffix gives the format.

    Raises
    ------
    DamagedFile
        It is truncated, too long, or does not match its suffix.
    """
    with path.open("rb") as file:
        if name.endswith(".npy"):
            _check_npy(file, path)
        elif name.endswith(".parquet"):
            _check_parquet(file, path)
    if name.endswith(".npz"):
        _check_npz(path)
    if name.endswith(HDF5_SUFFIXES):
        check_whole(path)


def _check_npy(file: IO[bytes], path: Path) -> None:
    shape, _, dtype, offset = npy_description(file, path)
    expected = offset + dtype.itemsize
    for length in shape:
        expected = offset + (expected - offset) * length
    size = file.seek(0, 2)
    if size != expected:
        raise DamagedFile(f"{path} has {size:,} bytes, its header says {expected:,}")


def _check_parquet(file: IO[bytes], path: Path) -> None:
    size = file.seek(0, 2)
    file.seek(0)
    first = file.read(4)
    file.seek(max(0, size - 8))
    last = file.read(8)
    footer = int.from_bytes(last[:4], "little")
    whole = first == last[4:] == _PARQUET_MAGIC and 0 < footer <= size - 12
    if not whole:
        raise DamagedFile(f"{path} is not a complete Parquet file")


def _check_npz(path: Path) -> None:
    with reading(path), zipfile.ZipFile(path):
        pass
