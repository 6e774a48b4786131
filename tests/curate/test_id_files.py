"""Files of ids: read in each form, and refused where they are not of this collection's rows."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.curate.id_files import read_ids_of
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.store.store import Store


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
        found = read_ids_of(store, tmp_path / f"ids.{suffix}")
        assert (found.tolist(), found.dtype) == ([3, 17, 59], np.int64)


@pytest.mark.parametrize("checksum", ["0123456789abcdef" * 2, None])
def test_ids_of_another_collection_are_refused(collection, tmp_path, checksum):
    path = save_h5(tmp_path / "q.h5", np.arange(3), checksum)
    with pytest.raises(Mismatch, match=r"q.h5 has ids of the collection .*: ids are those of one"):
        read_ids_of(Store(collection), path)


def test_an_id_out_of_range_is_refused(collection, tmp_path):
    (tmp_path / "ids.txt").write_text("5\n60\n")
    with pytest.raises(InvalidArgument, match=r"id 60 is out of range: .* has the ids 0 to 59"):
        read_ids_of(Store(collection), tmp_path / "ids.txt")


def test_queries_drawn_before_rows_were_removed_or_since_are_still_its_own(collection, tmp_path):
    store = Store(collection)
    before = save_h5(tmp_path / "before.h5", np.array([3, 9]), store.checksum)
    pairdex.remove(collection, ids=[3, 4], reason="a test")
    since = save_h5(tmp_path / "since.h5", np.array([9]), store.checksum)
    assert read_ids_of(store, before).tolist() == [3, 9]
    assert read_ids_of(store, since).tolist() == [9]


def damaged(tmp_path, kind):
    if kind == "absent":
        return tmp_path / "absent.h5"
    path = tmp_path / "q.h5"
    if kind == "no HDF5":
        path.write_bytes(b"damaged")
    else:
        with h5py.File(path, "w") as file:
            file["emb"] = np.ones((3, 8))
            if kind == "floats":
                file["ids"] = np.ones(3)
    return path


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("absent", MissingFile, r"absent\.h5 does not exist; expected a file of ids"),
        ("floats", UnsupportedFormat, r"q\.h5 has no integers \(n,\) named ids; it has emb, ids"),
        ("no dataset", UnsupportedFormat, r"q\.h5 has no integers \(n,\) named ids; it has emb:"),
        ("no HDF5", UnsupportedFormat, r"q\.h5 is not an HDF5 file"),
    ],
)
def test_a_file_that_holds_no_ids_is_named(collection, tmp_path, kind, error, told):
    with pytest.raises(error, match=told):
        read_ids_of(Store(collection), damaged(tmp_path, kind))


def test_columns_of_long_texts_beside_the_ids_are_passed_over(collection, tmp_path):
    (tmp_path / "ids.csv").write_text(f"id,text\n17,{'x' * 200_000}\n")
    assert read_ids_of(Store(collection), tmp_path / "ids.csv").tolist() == [17]


def test_a_field_of_a_csv_without_end_is_named(tmp_path, collection):
    (tmp_path / "ids.csv").write_text("id,text\n17," + "x" * ((1 << 24) + 1))
    with pytest.raises(
        DamagedFile, match=r"ids\.csv cannot be read: field larger than field limit"
    ):
        read_ids_of(Store(collection), tmp_path / "ids.csv")
