"""Read DataComp's subset files: uids as pairs of 64-bit integers (`u8,u8` in a .npy)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument, PairdexError
from pairdex.files.boundary import reading
from pairdex.files.vectors import npy_description
from pairdex.store.store import Store

__all__ = ["ids_of_uids", "is_uid_file"]

_COLUMN = "uid"
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def is_uid_file(path: Path) -> bool:
    """Return whether a file is a .npy of pairs of 64-bit integers; False if it is damaged."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            shape, _, dtype, _ = npy_description(file, path)
    except (PairdexError, OSError):
        return False
    return len(shape) == 1 and _is_pair(dtype)


def ids_of_uids(store: Store, path: Path) -> NDArray[np.int64]:
    """Return the ids of the rows whose uid is in the file; ignore uids that match no row.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        Ascending.

    Raises
    ------
    DamagedFile, InvalidArgument
        The file is truncated, or the collection lacks the column `uid`.
    """
    if _COLUMN not in store.schema.names:
        raise InvalidArgument(
            f"{path} holds uids, {store.path} has no column {_COLUMN}; it has "
            f"{', '.join(store.schema.names)}",
            field="ids",
        )
    with reading(path):
        pairs = np.load(path, allow_pickle=False)
    wanted = pa.array(_written(pairs), pa.string())
    ids = [np.empty(0, np.int64)]
    for first, table in store.tables():
        uids = pc.utf8_lower(table[_COLUMN].cast(pa.string()))
        found = np.asarray(pc.is_in(uids, value_set=wanted, skip_nulls=True), np.bool_)
        ids.append(np.flatnonzero(found) + first)
    return np.concatenate(ids)


def _is_pair(dtype: np.dtype[Any]) -> bool:
    names = dtype.names or ()
    return len(names) == 2 and all(dtype[name].str[1:] == "u8" for name in names)


def _written(pairs: NDArray[Any]) -> NDArray[np.str_]:
    """Return uids as texts of 32 hexadecimal digits, (n,)."""
    halves = np.stack([pairs[name] for name in pairs.dtype.names or ()], axis=1).astype(">u8")
    raw = np.ascontiguousarray(halves).view(np.uint8).reshape(len(pairs), 16)
    digits = np.stack([_DIGITS[raw >> 4], _DIGITS[raw & 15]], axis=2).reshape(len(pairs), 32)
    return np.ascontiguousarray(digits).view("S32")[:, 0].astype(np.str_)
