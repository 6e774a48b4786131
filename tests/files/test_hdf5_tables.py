"""HDF5 files of plain tables: read by the library as if it had written them, whatever the order of writing."""

import io

import h5py
import numpy as np

from pairdex.files.hdf5_tables import TableWriter

TABLES = {"emb": ((5, 3), np.float16), "ids": ((5,), np.int64), "none": ((0, 4), np.float32)}
ROWS = np.arange(15, dtype=np.float16).reshape(5, 3)


def write(order):
    file = io.BytesIO()
    writer = TableWriter(
        file,
        TABLES,
        attributes={"name": "x", "n": 0, "ok": True},
        table_attributes={"ids": {"first": 0}},
    )
    for first, last in order:
        writer.write("emb", first, ROWS[first:last])
        writer.write("ids", first, np.arange(first, last))
    writer.set_attributes({"n": 5})
    return file.getvalue()


def test_tables_and_attributes_are_read_back():
    with h5py.File(io.BytesIO(write([(0, 5)]))) as file:
        np.testing.assert_array_equal(file["emb"], ROWS)
        np.testing.assert_array_equal(file["ids"], np.arange(5))
        assert (file["emb"].dtype, file["ids"].dtype) == (np.float16, np.int64)
        assert file["none"].shape == (0, 4)
        assert dict(file.attrs) == {"name": "x", "n": 5, "ok": True}
        assert dict(file["ids"].attrs) == {"first": 0}
        assert file["emb"].chunks is None
        assert file["emb"].compression is None


def test_the_order_and_size_of_blocks_change_no_byte():
    assert write([(0, 5)]) == write([(3, 5), (0, 1), (1, 3)])


def test_rows_are_converted_to_the_table_s_dtype_in_c_order():
    file = io.BytesIO()
    writer = TableWriter(file, {"knns": ((2, 3), np.int32)}, attributes={})
    writer.write("knns", 0, np.asfortranarray(np.arange(6).reshape(2, 3)))
    with h5py.File(file) as read:
        np.testing.assert_array_equal(read["knns"], [[0, 1, 2], [3, 4, 5]])


def test_a_file_larger_than_memory_takes_only_what_is_written(tmp_path):
    with (tmp_path / "large.h5").open("wb") as file:
        writer = TableWriter(file, {"emb": ((20_000_000, 768), np.float16)}, attributes={})
        writer.write("emb", 19_999_999, np.ones((1, 768), np.float16))
    with h5py.File(tmp_path / "large.h5") as read:
        assert read["emb"].shape == (20_000_000, 768)
        assert read["emb"][19_999_999].sum() == 768
