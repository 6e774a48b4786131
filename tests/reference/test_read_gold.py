"""Gold standards are read in every form there is, and what is none is refused in a line."""

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
from pairdex.reference.read_gold import read_gold

IDS = np.array([[2, 0, 4], [1, 3, 2], [4, 1, 0], [3, 2, 1]])
DISTANCES = np.array(
    [[0.1, 0.2, 0.3], [0.0, 0.2, 0.9], [0.3, 0.3, 0.4], [0.1, 0.5, 0.6]], np.float32
)


@pytest.fixture
def save(tmp_path):
    def write(knns=IDS + 1, dists=DISTANCES, **more):
        path = tmp_path / "gold.h5"
        with h5py.File(path, "w") as file:
            file["knns"] = np.asarray(knns, np.int32)
            if dists is not None:
                file["dists"] = dists
            for name, value in more.items():
                file[name] = value
        return path

    return write


def test_the_page_s_form_is_read_as_it_is(save):
    gold = read_gold(save())
    np.testing.assert_array_equal(gold.ids, IDS)
    np.testing.assert_array_equal(gold.distances, DISTANCES)
    assert (gold.n, gold.k, gold.notes, gold.facts) == (4, 3, (), {})


def test_what_julia_puts_into_the_file_is_passed_over(save):
    path = save()
    with h5py.File(path, "a") as file:
        file.create_group("_types")["00000001"] = np.zeros(3)
    np.testing.assert_array_equal(read_gold(path).ids, IDS)


def test_a_turned_file_is_recognised_by_its_distances_and_said(save):
    gold = read_gold(save((IDS + 1).T, DISTANCES.T))
    np.testing.assert_array_equal(gold.ids, IDS)
    np.testing.assert_array_equal(gold.distances, DISTANCES)
    assert gold.notes == ("it is transposed: (k, n) instead of (n, k)",)
    assert gold.ids.flags.c_contiguous


def test_ids_from_0_are_recognised_by_a_0_and_said(save):
    gold = read_gold(save(IDS))
    np.testing.assert_array_equal(gold.ids, IDS)
    assert gold.notes == ("it counts from 0 instead of 1",)


def test_both_at_once_are_recognised(save):
    gold = read_gold(save(IDS.T, DISTANCES.T))
    np.testing.assert_array_equal(gold.ids, IDS)
    assert len(gold.notes) == 2


def test_one_query_and_one_neighbour_are_read_as_rows_unless_the_number_is_known(save):
    assert read_gold(save([[1, 2, 3]], DISTANCES[:1])).n == 1
    assert read_gold(save([[1], [2], [3]], DISTANCES[:1].T)).n == 3
    assert read_gold(save([[1], [2], [3]], DISTANCES[:1].T), n=1).n == 1


def test_a_group_of_a_file_is_read(tmp_path):
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["otest/knns"], file["otest/dists"] = IDS + 1, DISTANCES
        file["train"] = np.zeros(3)
    np.testing.assert_array_equal(read_gold(f"{tmp_path / 'all.h5'}:otest").ids, IDS)
    with pytest.raises(UnsupportedFormat, match="holds no group itest; it holds otest, train"):
        read_gold(f"{tmp_path / 'all.h5'}:itest")


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_beyond_it_is_refused(save, k):
    with pytest.raises(InvalidArgument, match=f"k is {k}, .* knows 3 neighbours .* 1 to 3"):
        read_gold(save()).check_k(k)


def changed(array, at, value):
    copy = array.copy()
    copy[at] = value
    return copy


def test_what_is_no_gold_standard_is_refused_with_the_reason(save, tmp_path):
    with pytest.raises(DamagedFile, match=r"1 of the distances of .* are NaN"):
        read_gold(save(dists=changed(DISTANCES, (1, 1), np.nan)))
    with pytest.raises(DamagedFile, match="ascend neither along its rows nor its columns"):
        read_gold(save(dists=changed(DISTANCES, (0, 0), 9.0)))
    with pytest.raises(DamagedFile, match="has the id -4, which is not a row"):
        read_gold(save(changed(IDS + 1, (0, 0), -4)))
    with pytest.raises(DamagedFile, match="has the id 5, which is not a row: expected 1 to 4"):
        read_gold(save(rows=4))
    with pytest.raises(DamagedFile, match="names a row twice among the neighbours of query 2"):
        read_gold(save(changed(IDS + 1, (2, 1), 5)))
    with pytest.raises(DamagedFile, match="has knns but no dists"):
        read_gold(save(dists=None))
    with pytest.raises(DamagedFile, match=r"dists of float32 and shape \(4, 2\)"):
        read_gold(save(dists=DISTANCES[:, :2]))
    with pytest.raises(DamagedFile, match="it holds nothing"):
        read_gold(save(np.empty((0, 3)), np.empty((0, 3), np.float32)))
    with pytest.raises(Mismatch, match="is of 4 queries, expected 5"):
        read_gold(save(), n=5)
    with pytest.raises(DamagedFile, match="2 kinds for 4 queries"):
        read_gold(save(kind=["image", "text"]))
    with pytest.raises(MissingFile, match="does not exist"):
        read_gold(tmp_path / "absent.h5")


def test_files_of_another_kind_are_refused_by_name(tmp_path):
    (tmp_path / "a.h5").write_text("no HDF5")
    with pytest.raises(UnsupportedFormat, match=r"a\.h5 is not an HDF5 file"):
        read_gold(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["neighbors"], file["distances"] = IDS, DISTANCES
    with pytest.raises(UnsupportedFormat, match="no dataset knns: it holds distances, neighbors"):
        read_gold(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["knns"], file["dists"] = IDS.astype(float), DISTANCES
    with pytest.raises(UnsupportedFormat, match=r"knns of float64 .* expected integers"):
        read_gold(tmp_path / "c.h5")


def test_a_truncated_file_is_refused_at_every_length(save):
    path = save()
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises((DamagedFile, UnsupportedFormat), match=r"gold\.h5"):
            read_gold(path)
