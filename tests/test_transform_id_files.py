"""Files of ids: read in each form, and refused where they are not of this collection's rows."""

import h5py
import numpy as np
import pytest

from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.store.store import Store
from pairdex.transform.id_files import read_ids


def save_h5(path, ids, checksum):
    with h5py.File(path, "w") as file:
        file["ids"] = ids
        file["emb"] = np.zeros((len(ids), 8), np.float32)
        if checksum is not None:
            file.attrs["collection_checksum"] = checksum
    return path


def test_every_form_gives_the_ids_ascending_and_once(collection, tmp_path):
    store, ids = Store(collection), [17, 3, 59, 3]
    np.save(tmp_path / "ids.npy", np.array(ids, np.int32))
    (tmp_path / "ids.txt").write_text("17\n3\r\n59\n\n3\n")
    save_h5(tmp_path / "ids.h5", np.array(ids), store.manifest.checksum)
    for suffix in ("npy", "txt", "h5"):
        found = read_ids(tmp_path / f"ids.{suffix}", store)
        assert (found.tolist(), found.dtype) == ([3, 17, 59], np.int64)


def test_no_ids_at_all_are_ids_too(collection, tmp_path):
    np.save(tmp_path / "ids.npy", np.empty(0))
    assert read_ids(tmp_path / "ids.npy", Store(collection)).tolist() == []


@pytest.mark.parametrize("checksum", ["0123456789abcdef" * 2, None])
def test_ids_of_another_collection_are_refused(collection, tmp_path, checksum):
    path = save_h5(tmp_path / "q.h5", np.arange(3), checksum)
    with pytest.raises(Mismatch, match=r"q.h5 has ids of the collection .*: ids are those of one"):
        read_ids(path, Store(collection))


def test_an_id_out_of_range_is_refused(collection, tmp_path):
    (tmp_path / "ids.txt").write_text("5\n60\n")
    with pytest.raises(InvalidArgument, match=r"id 60 is out of range: .* has the ids 0 to 59"):
        read_ids(tmp_path / "ids.txt", Store(collection))


def damaged(tmp_path, kind):
    if kind == "absent":
        return tmp_path / "absent.txt"
    if kind == "no numbers":
        path = tmp_path / "ids.txt"
        path.write_text("5\nfive\n")
    elif kind == "truncated":
        path = tmp_path / "ids.npy"
        np.save(path, np.arange(100))
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "floats":
        path = tmp_path / "ids.npy"
        np.save(path, np.ones(3))
    elif kind == "no dataset":
        path = tmp_path / "q.h5"
        with h5py.File(path, "w") as file:
            file["emb"] = np.ones((3, 8))
    elif kind == "no HDF5":
        path = tmp_path / "q.h5"
        path.write_bytes(b"damaged")
    else:
        path = tmp_path / "ids.csv"
        path.write_text("1,2")
    return path


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("absent", MissingFile, r"absent\.txt does not exist; expected a file of ids"),
        ("no numbers", DamagedFile, r"ids\.txt cannot be read: .*'five'"),
        ("truncated", DamagedFile, r"ids\.npy cannot be read"),
        ("floats", UnsupportedFormat, r"ids\.npy holds float64 of shape \(3,\); expected integers"),
        ("no dataset", UnsupportedFormat, r"q\.h5 has no dataset ids; it has emb"),
        ("no HDF5", DamagedFile, r"q\.h5 cannot be read"),
        ("suffix", UnsupportedFormat, r"ids\.csv is no file of ids: got \.csv, expected one of"),
    ],
)
def test_a_file_that_holds_no_ids_is_named(collection, tmp_path, kind, error, told):
    with pytest.raises(error, match=told):
        read_ids(damaged(tmp_path, kind), Store(collection))
