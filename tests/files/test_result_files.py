"""Result files: SISAP's HDF5 form with ids from 1, and Parquet with a row for each neighbour."""

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.errors import InvalidArgument, WriteFailed
from pairdex.files.result_files import check_suffix, write_results, write_table

IDS = np.array([[4, 0, 7], [2, -1, -1]], np.int64)
DISTANCES = np.array([[0.1, 0.2, 0.3], [0.5, np.inf, np.inf]], np.float32)


def test_hdf5_holds_ids_from_one_and_distances(tmp_path):
    path = tmp_path / "found.h5"
    write_results(path, IDS, DISTANCES, attributes={"algo": "exact", "size": 9, "querytime": 0.5})
    with h5py.File(path) as file:
        assert file["knns"].dtype == np.int32
        assert file["dists"].dtype == np.float32
        np.testing.assert_array_equal(file["knns"], [[5, 1, 8], [3, 0, 0]])
        np.testing.assert_array_equal(file["dists"], DISTANCES)
        assert dict(file.attrs) == {"algo": "exact", "size": 9, "querytime": 0.5}


def test_parquet_has_a_row_for_each_neighbour_and_none_for_the_missing(tmp_path):
    path = tmp_path / "found.parquet"
    write_results(path, IDS, DISTANCES, attributes={})
    assert pq.read_table(path).to_pydict() == {
        "query": [0, 0, 0, 1],
        "rank": [0, 1, 2, 0],
        "id": [4, 0, 7, 2],
        "distance": DISTANCES[[0, 0, 0, 1], [0, 1, 2, 0]].tolist(),
    }


@pytest.mark.parametrize("name", ["found.h5", "found.parquet"])
def test_no_queries_are_written_too(tmp_path, name):
    write_results(tmp_path / name, IDS[:0], DISTANCES[:0], attributes={})
    assert (tmp_path / name).stat().st_size > 0


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("found.h5", "found.parquet"):
        written = []
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_results(tmp_path / folder / name, IDS, DISTANCES, attributes={"algo": "exact"})
            written.append((tmp_path / folder / name).read_bytes())
        assert written[0] == written[1]


@pytest.mark.parametrize("name", ["found", "found.csv", "found.H5", "found.h5.gz"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InvalidArgument, match=r"expected \.h5 or \.parquet") as caught:
        check_suffix(tmp_path / name)
    assert caught.value.field == "out"
    with pytest.raises(InvalidArgument):
        write_results(tmp_path / name, IDS, DISTANCES, attributes={})
    assert list(tmp_path.iterdir()) == []


def test_ids_beyond_int32_are_refused_not_wrapped(tmp_path):
    ids = np.array([[2**31 - 1]])
    with pytest.raises(InvalidArgument, match="id 2,147,483,647 does not fit SISAP's int32"):
        write_results(tmp_path / "found.h5", ids, DISTANCES[:1, :1], attributes={})
    write_results(tmp_path / "found.h5", ids - 1, DISTANCES[:1, :1], attributes={})
    write_results(tmp_path / "found.parquet", ids, DISTANCES[:1, :1], attributes={})
    assert pq.read_table(tmp_path / "found.parquet")["id"].to_pylist() == [2**31 - 1]


@pytest.mark.parametrize("name", ["found.h5", "found.parquet"])
def test_a_place_that_cannot_be_written_is_reported(tmp_path, name):
    with pytest.raises(WriteFailed, match=r"cannot write .*: No such file or directory"):
        write_results(tmp_path / "absent" / name, IDS, DISTANCES, attributes={})


def test_an_older_file_is_replaced_whole(tmp_path):
    path = Path(tmp_path / "table.parquet")
    write_table(path, pa.table({"a": list(range(1000))}))
    write_table(path, pa.table({"b": [1]}))
    assert pq.read_table(path).to_pydict() == {"b": [1]}
    assert list(tmp_path.iterdir()) == [path]
