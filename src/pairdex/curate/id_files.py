"""Read ids and URLs of rows from values or from a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, as_array
from pairdex.curate.uid_files import ids_of_uids, is_uid_file
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile, UnsupportedFormat
from pairdex.files.boundary import reading
from pairdex.files.hdf5 import HDF5_SUFFIXES, dataset_at, open_hdf5, read_whole, text_of
from pairdex.store.store import Store, as_ids

__all__ = ["ids_of", "ids_or_file", "read_ids", "read_ids_of", "read_urls", "urls_of"]

_DATASET, _ATTRIBUTE = "ids", "collection_checksum"
_MAX_FIELD_CHARS = 1 << 24  # of other columns beside the ids
_SHOWN = 80  # characters of an invalid line to show in an error


def ids_or_file(
    given: StrPath | ArrayLike | None, *, field: str
) -> Path | NDArray[np.int64] | None:
    """Return a path, or ids as an array (n,) int64; None for None.

    Raises
    ------
    InvalidArgument
        The value is neither a path nor integers (n,); `field` names it.
    """
    if given is None:
        return None
    if isinstance(given, (str, os.PathLike)):
        return Path(given)
    return as_ids(as_array(given, field=field), field=field)


def ids_of(store: Store, given: Path | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ids of this collection, ascending and unique; read a file with `read_ids_of`."""
    if isinstance(given, Path):
        return read_ids_of(store, given)
    store.check_range(given)
    return np.unique(given)


def urls_of(given: StrPath | Iterable[str]) -> list[str]:
    """Return URLs from an iterable, or from a file with one URL per line.

    Raises
    ------
    InvalidArgument, MissingFile, DamagedFile
        The value is a single URL instead of several; the file is missing or is not text.
    """
    if isinstance(given, str) and "://" in given:
        raise InvalidArgument(
            f"urls is the URL {given:.{_SHOWN}}, expected a list of URLs or the path of a file",
            field="urls",
        )
    if isinstance(given, (str, os.PathLike)):
        return read_urls(Path(given))
    return list(given)


def read_ids_of(store: Store, path: Path) -> NDArray[np.int64]:
    """Read ids of rows of this collection, including removed rows.

    An HDF5 file (.h5) from `pairdex queries` holds the ids in the dataset `ids`. Its attribute
    `collection_checksum` identifies the collection. DataComp's .npy of uids identifies rows by
    their column `uid`. For other files, see `pairdex remove`.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        Ascending and unique.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, Mismatch, InvalidArgument
        The file is missing or damaged, holds values that are not integers, or has ids of another
        collection or out of range.
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


def read_ids(path: Path) -> NDArray[np.int64]:
    """Read ids from a .npy, a .csv (column `id` or the only column), or text with one per line.

    Raises
    ------
    MissingFile, DamagedFile, InvalidArgument
        The file is missing or damaged, or a line is not an id.
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    lines = _lines(path)
    column = 0
    if path.suffix.lower() == ".csv":
        csv.field_size_limit(_MAX_FIELD_CHARS)
        with reading(path, advice="write it again"):
            rows = [row for row in csv.reader(lines) if row]
        names = [name.strip().lower() for name in rows[0]] if rows else []
        column = names.index("id") if "id" in names else 0
        if "id" not in names and len(names) > 1:
            raise InvalidArgument(
                f"{path} has {len(names)} columns and none is called id; name one of them id",
                field="ids",
            )
        lines = [row[column] if column < len(row) else "" for row in rows]
    return _integers(path, lines[1:] if lines and lines[0].strip().lower() == "id" else lines)


def read_urls(path: Path) -> list[str]:
    """Read URLs, one per line; skip empty lines.

    Raises
    ------
    MissingFile, DamagedFile
        The file is missing or is not text.
    """
    return [line for line in _lines(path) if line]


def _read_npy(path: Path) -> NDArray[np.int64]:
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a file of ids")
    with reading(path, advice="write it again"):
        array = np.asarray(np.load(path, allow_pickle=False))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidArgument(
            f"{path} holds {array.dtype} of shape {array.shape}, expected integers (n,)",
            field="ids",
        )
    ids: NDArray[np.int64] = array
    return ids


def _integers(path: Path, lines: list[str]) -> NDArray[np.int64]:
    ids = []
    for line in lines:
        text = line.strip()
        if not text:
            continue
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 19):
            raise InvalidArgument(f"{path} holds {text!r:.{_SHOWN}}, expected an id", field="ids")
        ids.append(int(text))
    return np.array(ids, np.int64)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist; expected a file of text") from error
    except IsADirectoryError as error:
        raise MissingFile(f"{path} is a folder; expected a file of text") from error
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path} is not UTF-8 text: {error.reason}") from error
