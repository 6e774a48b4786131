"""Reading ids of a collection's rows from a file, as of queries that were drawn from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.curate.remove import read_ids
from pairdex.curate.uid_files import ids_of_uids, is_uid_file
from pairdex.errors import Mismatch, MissingFile, UnsupportedFormat
from pairdex.files.hdf5 import HDF5_SUFFIXES, dataset_at, open_hdf5, read_whole, text_of
from pairdex.store.store import Store

__all__ = ["read_ids_of"]

_DATASET, _ATTRIBUTE = "ids", "collection_checksum"


def read_ids_of(store: Store, path: Path) -> NDArray[np.int64]:
    """Read ids of rows of this collection, of removed ones too.

    An HDF5 file (.h5), as `pairdex queries` writes it, holds them in the dataset `ids` and names the
    collection in its attribute `collection_checksum`; DataComp's .npy of uids names rows by their column
    `uid`; other files are those that `pairdex remove` reads.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        Ascending, each once.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, Mismatch, InvalidArgument
        No such file; damaged; no integers; ids of another collection; an id out of range.
    """
    if is_uid_file(path):
        return ids_of_uids(store, path)
    ids = _read_h5(path, store) if path.suffix.lower() in HDF5_SUFFIXES else read_ids(path)
    ids = np.unique(ids).astype(np.int64)
    store.check_range(ids)
    return ids


def _read_h5(path: Path, store: Store) -> NDArray[Any]:
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a file of ids")
    with open_hdf5(path) as file:
        ids, made_of = dataset_at(file, _DATASET), file.attrs.get(_ATTRIBUTE)
        if ids is None or ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise UnsupportedFormat(
                f"{path} has no integers (n,) named {_DATASET}; it has "
                f"{', '.join(map(text_of, file)) or 'nothing'}: expected queries drawn from a collection"
            )
        made_of = text_of(made_of) if isinstance(made_of, (str, bytes)) else None
        if made_of not in {store.checksum, store.manifest.checksum}:
            raise Mismatch(
                f"{path} has ids of the collection {made_of or 'of no name'}, {store.path} is "
                f"{store.checksum}: ids are those of one collection only"
            )
        return np.asarray(read_whole(ids))
