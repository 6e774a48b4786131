"""Whether a file without a published checksum is whole, as far as its own format tells."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import h5py

from pairdex.errors import DamagedFile
from pairdex.vectors import npy_description

__all__ = ["check_contents"]

_HDF5 = (".h5", ".hdf5", ".jld2")
_PARQUET_MAGIC = b"PAR1"
_ZIP_END, _ZIP_END_BYTES = b"PK\x05\x06", (1 << 16) + 22  # the longest comment and its record


def check_contents(path: Path, name: str) -> None:
    """Check that a file ends where its format says; other kinds of files are not looked at.

    Parameters
    ----------
    path
        The file.
    name
        What it will be called: its suffix tells the format.

    Raises
    ------
    DamagedFile
        It is truncated, too long, or of another kind than its name says.
    """
    with path.open("rb") as file:
        if name.endswith(".npy"):
            _check_npy(file, path)
        elif name.endswith(".parquet"):
            _check(_first(file, 4) == _last(file, 4) == _PARQUET_MAGIC, path, "Parquet")
        elif name.endswith(".npz"):
            _check(_ZIP_END in _last(file, _ZIP_END_BYTES), path, "NumPy archive")
    if name.endswith(_HDF5):
        _check_hdf5(path)


def _check_npy(file: IO[bytes], path: Path) -> None:
    shape, _, dtype, offset = npy_description(file, path)
    expected = offset + dtype.itemsize
    for length in shape:
        expected = offset + (expected - offset) * length
    size = file.seek(0, 2)
    if size != expected:
        raise DamagedFile(f"{path} has {size:,} bytes, its header says {expected:,}")


def _check_hdf5(path: Path) -> None:
    try:
        with h5py.File(path, "r"):
            pass
    except OSError as error:
        raise DamagedFile(f"{path} is no whole HDF5 file: {error}") from error


def _check(holds: bool, path: Path, kind: str) -> None:
    if not holds:
        raise DamagedFile(f"{path} is no whole {kind} file")


def _first(file: IO[bytes], count: int) -> bytes:
    file.seek(0)
    return file.read(count)


def _last(file: IO[bytes], count: int) -> bytes:
    size = file.seek(0, 2)
    file.seek(max(0, size - count))
    return file.read(count)
