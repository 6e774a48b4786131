"""Reading ids of a collection's rows from a file: .h5 (as `pairdex queries` writes), .npy or .txt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, Mismatch, MissingFile, PairdexError, UnsupportedFormat
from pairdex.store.store import Store

__all__ = ["read_ids"]

_DATASET, _ATTRIBUTE = "ids", "collection_checksum"


def read_ids(path: Path, store: Store) -> NDArray[np.int64]:
    """Read ids of rows of this collection.

    An HDF5 file holds them in the dataset `ids` and names the collection in its attribute
    `collection_checksum`; an .npy file holds an array of integers; a .txt file numbers, one a line.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        Ascending, each once.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, Mismatch, InvalidArgument
        No such file; damaged; no integers; ids of another collection; an id out of range.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a file of ids")
    readers = {".h5": _read_h5, ".hdf5": _read_h5, ".npy": _read_npy, ".txt": _read_txt}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UnsupportedFormat(
            f"{path} is no file of ids: got {path.suffix or 'no suffix'}, "
            f"expected one of {', '.join(readers)}"
        )
    try:
        values = reader(path, store)
    except PairdexError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, OverflowError) as error:
        raise DamagedFile(f"{path} cannot be read: {str(error) or 'it ends early'}") from error
    if values.ndim != 1 or (values.dtype.kind not in "iu" and values.size):
        raise UnsupportedFormat(
            f"{path} holds {values.dtype} of shape {values.shape}; expected integers (n,)"
        )
    ids = np.unique(values).astype(np.int64)
    store.check_ids(ids)
    return ids


def _read_h5(path: Path, store: Store) -> NDArray[Any]:
    with h5py.File(path, "r") as file:
        if not isinstance(file.get(_DATASET), h5py.Dataset):
            raise UnsupportedFormat(
                f"{path} has no dataset {_DATASET}; it has {', '.join(file) or 'none'}"
            )
        made_of = file.attrs.get(_ATTRIBUTE)
        if made_of != store.manifest.checksum:
            raise Mismatch(
                f"{path} has ids of the collection {made_of or 'of no name'}, {store.path} is "
                f"{store.manifest.checksum}: ids are those of one collection only"
            )
        return np.asarray(file[_DATASET][()])


def _read_npy(path: Path, store: Store) -> NDArray[Any]:  # noqa: ARG001 - it names no collection
    return np.asarray(np.load(path, allow_pickle=False))


def _read_txt(path: Path, store: Store) -> NDArray[Any]:  # noqa: ARG001 - it names no collection
    return np.array([int(line) for line in path.read_text().split()], np.int64)
