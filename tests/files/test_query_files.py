"""Query files: every kind that people keep vectors in, and what is wrong with one in a line."""

import io

import h5py
import numpy as np
import pytest

from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    MissingFile,
    PairdexError,
    UnsupportedFormat,
)
from pairdex.files.query_files import read_queries, read_query_set

ROWS = np.random.default_rng(2).standard_normal((7, 5)).astype(np.float32)


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, array)
    elif path.suffix == ".fvecs":
        dims = np.full((len(array), 1), array.shape[1], "<i4")
        np.hstack([dims, array.astype("<f4").view("<i4")]).tofile(path)
    else:
        with h5py.File(path, "w") as file:
            file["emb"] = array
    return path


@pytest.mark.parametrize("name", ["q.npy", "q.npz", "q.h5", "q.hdf5", "q.fvecs", "Q.NPY"])
def test_rows_are_read_from_every_kind_of_file(tmp_path, name):
    path = tmp_path / name
    write(tmp_path / name.lower(), ROWS)
    (tmp_path / name.lower()).rename(path)
    for source in (path, str(path)):
        found = read_queries(source)
        np.testing.assert_array_equal(found, ROWS)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("name", ["q.npy", "q.npz", "q.h5"])
def test_every_float_is_read_as_float32(tmp_path, name, dtype):
    path = write(tmp_path / name, ROWS.astype(dtype))
    np.testing.assert_array_equal(read_queries(path), ROWS.astype(dtype).astype(np.float32))


def test_fortran_order_is_read(tmp_path):
    np.save(tmp_path / "q.npy", np.asfortranarray(ROWS))
    np.testing.assert_array_equal(read_queries(tmp_path / "q.npy"), ROWS)


def test_one_vector_is_one_query(tmp_path):
    np.save(tmp_path / "q.npy", ROWS[0])
    np.testing.assert_array_equal(read_queries(tmp_path / "q.npy"), ROWS[:1])


@pytest.mark.parametrize("name", ["q.npy", "q.npz", "q.h5"])
def test_a_file_without_rows_gives_no_queries(tmp_path, name):
    assert read_queries(write(tmp_path / name, ROWS[:0])).shape == (0, 5)


def test_an_array_of_an_npz_is_picked_by_name(tmp_path):
    np.savez(tmp_path / "q.npz", image=ROWS, text=-ROWS)
    np.testing.assert_array_equal(read_queries(f"{tmp_path / 'q.npz'}:text"), -ROWS)
    with pytest.raises(
        InvalidArgument, match=r"holds the arrays image, text: say which, as in .*:image"
    ):
        read_queries(tmp_path / "q.npz")
    with pytest.raises(InvalidArgument, match="holds the arrays image, text: got txet"):
        read_queries(f"{tmp_path / 'q.npz'}:txet")


def test_a_dataset_of_an_hdf5_file_is_picked_by_name(tmp_path):
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["emb"], file["pca32"] = ROWS, ROWS[:, :2]
    np.testing.assert_array_equal(read_queries(f"{tmp_path / 'q.h5'}:pca32"), ROWS[:, :2])
    np.testing.assert_array_equal(read_queries(tmp_path / "q.h5"), ROWS)
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["pca32"], file["pca96"] = ROWS, ROWS[:, :2]
    with pytest.raises(InvalidArgument, match="pca32, pca96: say which"):
        read_queries(tmp_path / "p.h5")


def test_a_query_file_says_of_which_kind_its_queries_are(tmp_path):
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["emb"] = ROWS.astype(np.float16)
        file["kind"] = ["image"] * 4 + ["text"] * 3
        file.attrs["collection_checksum"] = "c0ffee"
    read = read_query_set(tmp_path / "q.h5")
    assert read.kinds.tolist() == ["image"] * 4 + ["text"] * 3
    assert read.facts == {"collection_checksum": "c0ffee"}
    np.save(tmp_path / "q.npy", ROWS.astype(np.float16).astype(np.float32))
    assert read_query_set(tmp_path / "q.npy").facts == {}
    assert read_query_set(tmp_path / "q.npy").checksum == read.checksum


def test_kinds_that_are_not_one_a_query_are_refused(tmp_path):
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["emb"], file["kind"] = ROWS, ["image"]
    with pytest.raises(DamagedFile, match="has 1 kinds for 7 queries"):
        read_query_set(tmp_path / "q.h5")


def test_what_julia_puts_beside_the_rows_is_passed_over(tmp_path):
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["emb"] = ROWS.astype(np.float16)
        file.create_group("_types")["00000001"] = np.zeros(3)
        file["size"] = 7
    np.testing.assert_array_equal(read_queries(tmp_path / "q.h5"), ROWS.astype(np.float16))


def test_a_colon_in_a_files_name_is_part_of_it(tmp_path):
    np.save(tmp_path / "at 10:30.npy", ROWS)
    np.testing.assert_array_equal(read_queries(tmp_path / "at 10:30.npy"), ROWS)


def test_values_beyond_float32_become_infinite_without_a_warning(tmp_path):
    np.save(tmp_path / "q.npy", ROWS.astype(np.float64) * 1e300)
    assert np.isinf(read_queries(tmp_path / "q.npy")).all()


@pytest.mark.parametrize("name", ["q.npy", "q.h5"])
def test_integers_are_no_queries(tmp_path, name):
    with pytest.raises(UnsupportedFormat, match=r"holds int32 of shape .* expected rows of floats"):
        read_queries(write(tmp_path / name, ROWS.astype(np.int32)))


def test_three_dimensions_are_no_queries(tmp_path):
    with pytest.raises(UnsupportedFormat, match=r"float32 of shape \(1, 7, 5\)"):
        read_queries(write(tmp_path / "q.npy", ROWS[None]))


def test_an_hdf5_file_without_rows_of_numbers_is_refused(tmp_path):
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["n"] = 3
    with pytest.raises(UnsupportedFormat, match="holds no 2-D array"):
        read_queries(tmp_path / "q.h5")


def test_an_empty_npz_is_refused(tmp_path):
    np.savez(tmp_path / "q.npz")
    with pytest.raises(UnsupportedFormat, match="holds no 2-D array"):
        read_queries(tmp_path / "q.npz")


@pytest.mark.parametrize("name", ["q.npy", "q.npz", "q.h5", "q.fvecs"])
def test_an_empty_file_is_damage(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DamagedFile, match=name):
        read_queries(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"absent\.npy does not exist; expected a file of query"):
        read_queries(tmp_path / "absent.npy")
    with pytest.raises(MissingFile, match=r"absent\.npz does not exist"):
        read_queries(f"{tmp_path / 'absent.npz'}:image")


def test_another_suffix_is_refused_with_those_that_are_known(tmp_path):
    for name, got in (("q.csv", "got .csv"), ("queries", "got no suffix")):
        (tmp_path / name).write_text("1,2,3")
        with pytest.raises(UnsupportedFormat, match=f"{got}, expected one of .npy, .npz, .h5"):
            read_queries(tmp_path / name)


@pytest.mark.parametrize("name", ["q.npy", "q.fvecs"])
def test_a_name_for_a_file_of_one_array_is_refused(tmp_path, name):
    with pytest.raises(InvalidArgument, match="holds one array; drop :emb"):
        read_queries(f"{write(tmp_path / name, ROWS)}:emb")


def test_a_header_whose_sizes_overflow_is_damage(tmp_path):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**32}, {2**32}), }}\n"
    size = len(header).to_bytes(2, "little")
    (tmp_path / "q.npy").write_bytes(b"\x93NUMPY\x01\x00" + size + header.encode())
    with pytest.raises(DamagedFile, match="its header says"):
        read_queries(tmp_path / "q.npy")


def test_rows_of_different_dimension_are_no_fvecs(tmp_path):
    words = np.array([2, 0, 0, 3, 0, 0, 0, 0, 0], "<i4")
    words.tofile(tmp_path / "q.fvecs")
    with pytest.raises(DamagedFile, match="its rows differ in dimension"):
        read_queries(tmp_path / "q.fvecs")


@pytest.mark.parametrize("name", ["q.npy", "q.npz", "q.fvecs", "q.h5"])
def test_damage_anywhere_never_ends_in_another_error(tmp_path, name):
    data = write(tmp_path / name, ROWS[:2]).read_bytes()
    step = 7 if name == "q.h5" else 1
    refused = []
    for place in range(0, len(data), step):
        for content in (data[:place], flipped(data, place, 1), flipped(data, place, 0xFF)):
            (tmp_path / name).write_bytes(content)
            try:
                read_queries(tmp_path / name)
            except PairdexError as error:
                refused.append(str(error))
    assert refused
    assert not any("\n" in line for line in refused)


def flipped(data, place, flip):
    stream = io.BytesIO(data)
    stream.seek(place)
    stream.write(bytes([data[place] ^ flip]))
    return stream.getvalue()
