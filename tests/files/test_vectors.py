"""Files of vectors: every claim of a header is checked, and blocks are the array cut up."""

import io
import zipfile

import numpy as np
import pytest

from pairdex.errors import DamagedFile, MissingFile, PairdexError, UnsupportedFormat
from pairdex.files.vectors import npy_header, open_vectors

ROWS = np.random.default_rng(1).standard_normal((11, 6)).astype(np.float16)


def npy_bytes(array, version=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def with_header(text, data=b"", version=b"\x01\x00"):
    """An .npy file of any header at all."""
    size = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + text.encode("latin1") + data


def read(path, member=None, block_rows=4):
    return np.concatenate(list(open_vectors(path, member).blocks(block_rows)))


@pytest.mark.parametrize("block_rows", [1, 3, 10, 11, 12, 1000])
def test_blocks_of_any_size_make_up_the_array(tmp_path, block_rows):
    np.save(tmp_path / "rows.npy", ROWS)
    file = open_vectors(tmp_path / "rows.npy")
    blocks = list(file.blocks(block_rows))
    assert [len(block) for block in blocks[:-1]] == [block_rows] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), ROWS)
    assert (file.rows, file.dim, file.dtype, file.name) == (11, 6, np.float16, "rows.npy")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(tmp_path, version):
    (tmp_path / "rows.npy").write_bytes(npy_bytes(ROWS, version))
    np.testing.assert_array_equal(read(tmp_path / "rows.npy"), ROWS)


def test_the_header_of_python_2_is_read_with_numpys_warning(tmp_path):
    text = "{'descr': '<f2', 'fortran_order': False, 'shape': (11L, 6L), }\n"
    (tmp_path / "rows.npy").write_bytes(with_header(text, ROWS.tobytes()))
    with pytest.warns(UserWarning, match="Python 2"):
        np.testing.assert_array_equal(read(tmp_path / "rows.npy"), ROWS)


def test_a_file_is_mapped_in_place(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    mapped = open_vectors(tmp_path / "rows.npy").mapped()
    np.testing.assert_array_equal(mapped, ROWS)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable


def test_a_file_without_rows_is_read_and_mapped(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS[:0])
    file = open_vectors(tmp_path / "rows.npy")
    assert list(file.blocks(4)) == []
    assert file.mapped().shape == (0, 6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_array_of_an_npz_is_read(tmp_path, save):
    save(tmp_path / "rows.npz", l14_img=ROWS, b32_img=ROWS[:, :2])
    np.testing.assert_array_equal(read(tmp_path / "rows.npz", "l14_img"), ROWS)
    np.testing.assert_array_equal(read(tmp_path / "rows.npz", "b32_img"), ROWS[:, :2])
    assert open_vectors(tmp_path / "rows.npz", "l14_img").name == "rows.npz:l14_img"


@pytest.mark.parametrize("rows", [0, 1, 999, 10**6, 10**15])
@pytest.mark.parametrize("dim", [1, 512, 10**5])
def test_the_header_we_write_is_numpys_and_128_bytes_whatever_the_rows(rows, dim):
    header = npy_header(rows, dim, np.dtype("<f2"))
    assert len(header) == 128
    stream = io.BytesIO(header)
    assert np.lib.format.read_magic(stream) == (1, 0)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    assert (shape, fortran, dtype) == ((rows, dim), False, np.dtype("<f2"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"absent\.npy does not exist"):
        open_vectors(tmp_path / "absent.npy")
    with pytest.raises(MissingFile, match="does not exist"):
        open_vectors(tmp_path)


def test_a_missing_array_of_an_npz_is_named_with_those_there_are(tmp_path):
    np.savez(tmp_path / "rows.npz", b32_img=ROWS, b32_txt=ROWS)
    with pytest.raises(MissingFile, match="no array l14_img; it holds b32_img, b32_txt"):
        open_vectors(tmp_path / "rows.npz", "l14_img")


def header_text(shape="(11, 6)", descr="'<f2'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (header_text("(12, 6)"), "its header says 12 rows x 6 float16"),
        (header_text("(11, 7)"), "its header says 11 rows x 7 float16"),
        (header_text("(10, 6)"), "its header says 10 rows x 6 float16"),
        (header_text("(11, 6)", "'<f4'"), "its header says 11 rows x 6 float32"),
        (header_text("(10**18, 6)"), "unreadable .npy header"),
        (header_text(f"({10**30}, 6)"), "it is truncated or damaged"),
        (header_text(f"({2**32}, {2**32})"), "it is truncated or damaged"),
        (header_text("(-11, 6)"), "unreadable .npy header"),
        (header_text("(11.0, 6)"), "unreadable .npy header"),
        (header_text("('11', 6)"), "unreadable .npy header"),
        (header_text("66"), "unreadable .npy header"),
        (header_text("None"), "unreadable .npy header"),
        (header_text("(11, 6)", "'|O'"), "unreadable .npy header"),
        (header_text("(11, 6)", "'nonsense'"), "unreadable .npy header"),
        (header_text("(11, 6)", "[('a', '|O')]"), "unreadable .npy header"),
        ("{'shape': (11, 6)}\n", "unreadable .npy header"),
        ("[1, 2]\n", "unreadable .npy header"),
        ("", "unreadable .npy header"),
        (" ", "unreadable .npy header"),
        ("__import__('os').abort()\n", "unreadable .npy header"),
        ("(" * 5000 + ")" * 5000, "unreadable .npy header"),
        ("9" * 60_000, "unreadable .npy header"),
        ("[" * 60_000, "unreadable .npy header"),
        ("-" * 60_000 + "1", "unreadable .npy header"),
        ("'" * 3 + "\n", "unreadable .npy header"),
        ("{'descr': '<f2'\0}\n", "unreadable .npy header"),
        (header_text("(11, 6)", "()"), "unreadable .npy header"),
        (header_text("(11, 6)", "[1]"), "unreadable .npy header"),
        (header_text("(11, 6)", "[((), '<f2')]"), "unreadable .npy header"),
    ],
)
def test_a_header_that_lies_is_damage(tmp_path, text, message):
    (tmp_path / "rows.npy").write_bytes(with_header(text, ROWS.tobytes()))
    with pytest.raises(DamagedFile, match=message) as caught:
        open_vectors(tmp_path / "rows.npy")
    assert str(tmp_path / "rows.npy") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_longer_than_any_of_ours_is_damage(tmp_path):
    text = header_text().rstrip() + " " * (1 << 16) + "\n"
    (tmp_path / "rows.npy").write_bytes(with_header(text, ROWS.tobytes(), b"\x02\x00"))
    with pytest.raises(DamagedFile, match=r"unreadable \.npy header"):
        open_vectors(tmp_path / "rows.npy")


def test_a_header_that_is_said_to_be_huge_is_not_read(tmp_path):
    data = b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + b"{}"
    (tmp_path / "rows.npy").write_bytes(data)
    with pytest.raises(DamagedFile, match=r"unreadable \.npy header"):
        open_vectors(tmp_path / "rows.npy")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ROWS[0], r"float16 of shape \(6,\)"),
        (ROWS[None], r"float16 of shape \(1, 11, 6\)"),
        (ROWS[:, :0], r"float16 of shape \(11, 0\)"),
        (ROWS.astype(np.int8), "holds int8"),
        (ROWS.astype(complex), "holds complex128"),
        (ROWS.astype(str), "holds <U"),
        (np.array(3.0), r"float64 of shape \(\)"),
    ],
)
def test_what_is_no_rows_of_floats_is_not_supported(tmp_path, array, message):
    np.save(tmp_path / "rows.npy", array)
    with pytest.raises(UnsupportedFormat, match=message):
        open_vectors(tmp_path / "rows.npy")


def test_pickles_are_not_read(tmp_path):
    np.save(tmp_path / "rows.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DamagedFile, match=r"unreadable \.npy header"):
        open_vectors(tmp_path / "rows.npy")


def test_a_file_that_shrinks_after_it_was_opened_is_damage(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    file = open_vectors(tmp_path / "rows.npy")
    with (tmp_path / "rows.npy").open("r+b") as shorter:
        shorter.truncate(128 + 5 * 12 + 3)
    with pytest.raises(DamagedFile, match="ends at row 5 of 11: it is truncated"):
        list(file.blocks(4))


def damaged(data):
    """The bytes with a bit or a byte flipped anywhere, or cut off anywhere."""
    for place in range(len(data)):
        yield data[:place]
        for flip in (1, 64, 255):
            changed = bytearray(data)
            changed[place] ^= flip
            yield bytes(changed)


def read_all(path, contents, member=None):
    """Read every content: the arrays that were read, and the lines that refused the others."""
    found, refused = [], []
    for content in contents:
        path.write_bytes(content)
        try:
            found.append(read(path, member))
        except PairdexError as error:
            refused.append(str(error))
    assert not any("\n" in line for line in refused)
    return found, refused


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_damage_anywhere_in_an_npy_is_refused_or_is_in_the_rows(tmp_path, version):
    data = npy_bytes(ROWS[:2], version)
    found, refused = read_all(tmp_path / "rows.npy", damaged(data))
    assert all(array.dtype.kind == "f" for array in found)
    assert len(refused) > len(data)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_anywhere_in_an_npz_is_refused_or_harmless(tmp_path, save):
    save(tmp_path / "rows.npz", l14_img=ROWS[:2])
    data = (tmp_path / "rows.npz").read_bytes()
    found, refused = read_all(tmp_path / "rows.npz", damaged(data), "l14_img")
    assert all(np.array_equal(array, ROWS[:2]) for array in found)
    assert len(refused) > len(data)


def test_an_encrypted_npz_is_refused(tmp_path):
    np.savez(tmp_path / "rows.npz", l14_img=ROWS)
    data = bytearray((tmp_path / "rows.npz").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption in the archive's directory
    (tmp_path / "rows.npz").write_bytes(data)
    with pytest.raises(DamagedFile, match="is encrypted"):
        open_vectors(tmp_path / "rows.npz", "l14_img")


def test_an_archive_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "rows.npz").write_bytes(b"not a zip")
    with pytest.raises(DamagedFile, match="File is not a zip file; fetch it again"):
        open_vectors(tmp_path / "rows.npz", "l14_img")
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        archive.writestr("l14_img.npy", b"not an array")
    with pytest.raises(DamagedFile, match="magic bytes"):
        open_vectors(tmp_path / "rows.npz", "l14_img")


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("block_rows", [1, 4, 11, 100])
def test_rows_of_every_dtype_and_order_are_read(tmp_path, dtype, order, block_rows):
    np.save(tmp_path / "rows.npy", np.asarray(ROWS.astype(dtype), order=order))
    np.testing.assert_array_equal(read(tmp_path / "rows.npy", block_rows=block_rows), ROWS)


@pytest.mark.parametrize("order", ["C", "F"])
def test_bfloat16_is_read_as_float32(tmp_path, order):
    upper_halves = (ROWS.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    np.save(tmp_path / "rows.npy", np.asarray(upper_halves.view("V2"), order=order))
    file = open_vectors(tmp_path / "rows.npy")
    assert (file.dtype, file.is_plain) == (np.float32, False)
    expected = (upper_halves.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(read(tmp_path / "rows.npy"), expected)
    assert np.abs(expected - ROWS).max() < 0.02


def test_a_truncated_file_of_columns_is_refused_when_it_is_opened(tmp_path):
    np.save(tmp_path / "rows.npy", np.asfortranarray(ROWS))
    data = (tmp_path / "rows.npy").read_bytes()
    (tmp_path / "rows.npy").write_bytes(data[:-1])
    with pytest.raises(DamagedFile, match="it is truncated or damaged"):
        open_vectors(tmp_path / "rows.npy")


def test_columns_cannot_be_mapped_nor_read_from_an_archive(tmp_path):
    np.save(tmp_path / "rows.npy", np.asfortranarray(ROWS))
    with pytest.raises(UnsupportedFormat, match=r"cannot be mapped: save it again as rows"):
        open_vectors(tmp_path / "rows.npy").mapped()
    np.savez(tmp_path / "rows.npz", rows=np.asfortranarray(ROWS))
    with pytest.raises(UnsupportedFormat, match=r"Fortran-ordered float16 .*: save it again as"):
        open_vectors(tmp_path / "rows.npz", "rows")
