"""Parts that are not whole: each is named in one line, and left out where that is asked for."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.errors import DamagedFile, MissingFile, PairdexError
from pairdex.files.foreign import UNFINISHED
from pairdex.parts.layout import find_parts, part_numbers, search_parts

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
PAGE = "<!DOCTYPE html><html><title>404</title></html>"


def break_link(path):
    path.unlink()
    path.symlink_to("/nowhere/objects/1")


def half_fetched(path):
    path.rename(path.with_name(f"{path.name}.crdownload"))


def with_control_file(path):
    path.with_name(f"{path.name}.aria2").touch()


def zeroed(path):
    rows = np.load(path)
    rows[8:] = 0
    np.save(path, rows)


WAYS = {
    "absent": (lambda path: path.unlink(), "part 1 has|has .* but no|has no .* beside it"),
    "broken link": (break_link, r"is a broken link \(to /nowhere/objects/1\)"),
    "half fetched": (half_fetched, "is still being fetched|has no .* beside it"),
    "control file": (with_control_file, r"is still being fetched \(.*\.aria2 lies beside it\)"),
    "pointer": (lambda path: path.write_text(POINTER), "is a Git LFS pointer"),
    "web page": (lambda path: path.write_text(PAGE), "is a web page"),
    "empty": (lambda path: path.write_text(""), "is empty"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "truncated|not a|cannot"),
}
FILES = {
    "flat": ["img_emb_1.npy", "text_emb_1.npy", "metadata_1.parquet"],
    "laion2b": ["img_emb/img_emb_0001.npy", "laion2B-en-metadata/metadata_0001.parquet"],
    "datacomp": [f"{1:032x}.npz", f"{1:032x}.parquet"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("layout", "name"), [(layout, name) for layout, names in FILES.items() for name in names]
)
def test_a_part_that_is_not_whole_is_refused_or_left_out(make_parts, layout, name, way):
    source = make_parts(20, 20, 20, layout=layout)
    harm, told = WAYS[way]
    harm(source / name)
    with pytest.raises(PairdexError, match=f"({told}).*leave it out with --skip-incomplete") as got:
        search_parts(source)
    assert "\n" not in str(got.value)
    found = search_parts(source, skip_incomplete=True)
    assert [part.number for part in found.parts] == [0, 2]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("part 1 is left out: ")


@pytest.mark.parametrize("suffix", UNFINISHED)
def test_every_sign_of_a_fetch_that_goes_on_is_known(make_parts, suffix):
    source = make_parts(5, 5)
    (source / f"img_emb_1.npy{suffix}").touch()
    with pytest.raises(MissingFile, match=r"img_emb_1.npy is still being fetched"):
        search_parts(source)


@pytest.mark.parametrize("name", ["img_emb_1.npy", "text_emb_1.npy"])
def test_a_file_that_is_mostly_zeros_is_refused_or_left_out(make_parts, name):
    source = make_parts(20, 20)
    zeroed(source / name)
    with pytest.raises(DamagedFile, match=f"{name} is mostly zeros .*: it was reserved but not"):
        search_parts(source)
    assert len(search_parts(source, skip_incomplete=True).parts) == 1


def test_some_rows_of_zeros_are_not_a_half_fetched_file(make_parts):
    source = make_parts(1000)
    rows = np.load(source / "img_emb_0.npy")
    rows[::3] = 0
    np.save(source / "img_emb_0.npy", rows)
    assert search_parts(source).parts[0].rows == 1000


def test_a_gap_in_the_numbers_is_refused_or_noted(make_parts):
    source = make_parts(1, 2, 3, numbers=[2, 9, 10])
    with pytest.raises(MissingFile, match=r"holds the parts 2,9-10, but not 3-8: fetch what"):
        search_parts(source)
    found = search_parts(source, skip_incomplete=True)
    assert ([part.number for part in found.parts], len(found.skipped)) == ([2, 9, 10], 1)


def test_a_gap_of_a_billion_numbers_is_named_at_once(make_parts):
    source = make_parts(1, 1, numbers=[0, 999_999_999])
    with pytest.raises(MissingFile, match=r"the parts 0,999999999, but not 1-999999998: fetch"):
        search_parts(source)


def test_parts_that_are_named_may_have_gaps_and_incomplete_ones_beside_them(make_parts):
    source = make_parts(1, 2, 3, numbers=[2, 9, 10])
    (source / "img_emb_9.npy").unlink()
    found = search_parts(source, numbers=frozenset({2, 10}))
    assert ([part.number for part in found.parts], found.skipped) == ([2, 10], [])
    with pytest.raises(MissingFile, match=r"has metadata_9.parquet but no img_emb_9.npy"):
        search_parts(source, numbers=frozenset({9}))


def test_numbers_need_not_begin_at_zero(make_parts):
    assert len(search_parts(make_parts(1, 2, numbers=[5, 6])).parts) == 2


def test_a_source_without_a_whole_part_is_refused(make_parts):
    source = make_parts(5)
    break_link(source / "img_emb_0.npy")
    with pytest.raises(MissingFile, match=r"no part of .* is whole: part 0 is left out"):
        search_parts(source, skip_incomplete=True)


def test_the_doubles_that_macos_writes_are_passed_over(make_parts, tmp_path):
    source = make_parts(5, 5, layout="datacomp")
    for path in [*source.iterdir()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(100))
    (source / "__MACOSX").mkdir()
    (source / "__MACOSX" / "x.npz").write_bytes(b"\0\5\x16\7")
    assert len(search_parts(source).parts) == 2


def test_folders_that_are_links_are_followed(make_parts, tmp_path):
    source = make_parts(5, 5, layout="laion400m")
    (source / "img_emb").rename(tmp_path / "elsewhere")
    (source / "img_emb").symlink_to(tmp_path / "elsewhere")
    assert len(search_parts(source).parts) == 2
    assert part_numbers(source) == {0, 1}


def test_vectors_without_any_metadata_are_parts(make_parts):
    source = make_parts(5, 6)
    for number in (0, 1):
        (source / f"metadata_{number}.parquet").unlink()
    parts = find_parts(source)
    assert [(part.rows, part.metadata, part.schema.names) for part in parts] == [
        (5, None, []),
        (6, None, []),
    ]


def test_a_file_of_vectors_is_a_part(tmp_path):
    np.save(tmp_path / "vectors.npy", np.ones((5, 8), np.float32))
    (part,) = find_parts(tmp_path / "vectors.npy")
    assert (part.number, part.rows, part.dim, part.metadata) == (0, 5, 8, None)


def test_text_vectors_alone_are_named(make_parts):
    source = make_parts(5)
    (source / "img_emb_0.npy").unlink()
    with pytest.raises(MissingFile, match=r"expected img_emb_.* it holds metadata_0.* text_emb_0"):
        search_parts(source)


def test_a_folder_as_spark_writes_it_is_one_table(make_parts):
    source = make_parts(5, text=False)
    table = pq.read_table(source / "metadata_0.parquet")
    (source / "metadata_0.parquet").unlink()
    folder = source / "metadata_0.parquet"
    folder.mkdir()
    pq.write_table(table.slice(0, 2), folder / "part-00000-c000.snappy.parquet")
    pq.write_table(table.slice(2), folder / "part-00001-c000.snappy.parquet")
    (folder / "_SUCCESS").touch()
    (part,) = find_parts(source)
    assert (part.rows, len(part.files)) == (5, 3)
    (folder / "part-00001-c000.snappy.parquet").unlink()
    with pytest.raises(PairdexError, match=r"img_emb_0.npy has 5 rows, metadata_0.parquet has 2"):
        find_parts(source)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float16(), 8), "large"])
@pytest.mark.parametrize("block_rows", [1, 4, 100])
def test_a_column_of_vectors_is_read_as_a_file_of_vectors(tmp_path, kind, block_rows):
    kind = pa.large_list(pa.float64()) if kind == "large" else kind
    rows = np.random.default_rng(1).standard_normal((11, 8)).astype(np.float16)
    lists = pa.array([*rows.astype(kind.value_type.to_pandas_dtype()), None], kind)
    table = pa.table({"url": ["u"] * 12, "embedding": lists, "box": [[0.1, 0.2]] * 12})
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet", row_group_size=5)
    for source in (tmp_path, tmp_path / "train-00000-of-00001.parquet"):
        (part,) = find_parts(source)
        assert (part.rows, part.dim, part.schema.names) == (12, 8, ["url", "box"])
        read = np.concatenate(list(part.image.blocks(block_rows)))
        np.testing.assert_array_equal(read, np.vstack([rows, np.zeros((1, 8))]))


def test_two_columns_of_vectors_are_pictures_and_texts(tmp_path):
    vectors = [np.ones(8, np.float32)] * 3
    columns = {"text_embedding": vectors, "image_embedding": vectors, "url": ["u"] * 3}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (part,) = find_parts(tmp_path)
    assert (part.image.member, part.text.member) == ("image_embedding", "text_embedding")
    columns = {"x": vectors, "y": vectors}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(PairdexError, match=r"has vectors in x, y: call those of the pictures"):
        find_parts(tmp_path)


def test_a_vector_of_another_length_is_named_by_its_row(tmp_path):
    lists = [[1.0] * 8, [1.0] * 8, [1.0] * 7]
    pq.write_table(pa.table({"embedding": lists}), tmp_path / "a.parquet")
    (part,) = find_parts(tmp_path)
    with pytest.raises(DamagedFile, match=r"of row 2 has 7 numbers, expected 8"):
        list(part.image.blocks(100))
