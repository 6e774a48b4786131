"""Layouts: every release's parts are found, in numeric order, and what does not fit together is named."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    PairdexError,
    UnsupportedFormat,
)
from pairdex.parts.layout import find_parts, parse_numbers

NUMBERED = ["flat", "laion400m", "laion2b", "clip-retrieval"]


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("layout", NUMBERED)
def test_every_numbered_layout_is_recognised(make_parts, layout, text):
    source = make_parts(5, 3, layout=layout, text=text)
    parts = find_parts(source)
    assert [(part.number, part.rows, part.dim) for part in parts] == [(0, 5, 8), (1, 3, 8)]
    assert [part.text is not None for part in parts] == [text, text]
    assert all(part.schema.names[:3] == ["url", "caption", "NSFW"] for part in parts)
    assert [len(part.files) for part in parts] == [2 + text] * 2


def test_datacomps_layout_is_recognised_with_either_tower(make_parts):
    source = make_parts(5, 3, layout="datacomp")
    for tower, dim in (("l14", 8), ("b32", 4)):
        parts = find_parts(source, tower=tower)
        assert [(part.number, part.rows, part.dim) for part in parts] == [(0, 5, dim), (1, 3, dim)]
        assert parts[0].image.member == f"{tower}_img"
        assert parts[0].text.member == f"{tower}_txt"
        assert [len(part.files) for part in parts] == [2, 2]


@pytest.mark.parametrize("layout", NUMBERED)
def test_the_order_is_numeric_and_numbers_may_have_gaps(make_parts, layout):
    source = make_parts(1, 2, 3, 4, numbers=[10, 2, 107, 9], layout=layout)
    parts = find_parts(source)
    assert [(part.number, part.rows) for part in parts] == [(2, 2), (9, 4), (10, 1), (107, 3)]


def test_numeric_names_of_datacomps_layout_are_in_numeric_order(make_parts):
    source = make_parts(1, 2, 3, layout="datacomp")
    for number, name in enumerate(["10", "2", "007"]):
        for suffix in (".npz", ".parquet"):
            (source / f"{number:032x}{suffix}").rename(source / f"{name}{suffix}")
    assert [part.image.path.stem for part in find_parts(source)] == ["2", "007", "10"]


def test_only_the_named_parts_are_found(make_parts):
    source = make_parts(1, 2, 3, 4)
    parts = find_parts(source, numbers=frozenset({3, 1}))
    assert [part.number for part in parts] == [1, 3]


def test_a_part_that_was_not_asked_for_may_be_damaged(make_parts):
    source = make_parts(1, 2)
    (source / "img_emb_0.npy").write_bytes(b"damaged")
    assert [part.rows for part in find_parts(source, numbers=frozenset({1}))] == [2]


def test_an_absent_part_is_named(make_parts):
    source = make_parts(1, 2)
    with pytest.raises(MissingFile, match="holds no part 7; it holds 2 parts, 0 to 1"):
        find_parts(source, numbers=frozenset({1, 7}))
    with pytest.raises(MissingFile, match="holds no part 2 and 8 more"):
        find_parts(source, numbers=parse_numbers("0-10"))


def test_no_parts_at_all_cannot_be_asked_for(make_parts):
    with pytest.raises(InvalidArgument, match="the set of parts is empty"):
        find_parts(make_parts(1), numbers=frozenset())


@pytest.mark.parametrize("other", ["img_emb_01.npy", "more/img_emb_1.npy"])
def test_two_files_with_one_number_are_refused(make_parts, other):
    source = make_parts(1, 2)
    (source / "more").mkdir()
    (source / other).write_bytes((source / "img_emb_1.npy").read_bytes())
    with pytest.raises(Mismatch, match="are both part 1; remove one or name its folder"):
        find_parts(source)


def test_other_files_are_passed_over(make_parts):
    source = make_parts(1)
    for name in ("README.md", "img_emb_x.npy", "old_img_emb_1.npy", "x.npz"):
        (source / name).touch()
    (source / "img_emb_5.npy").mkdir()
    assert [part.number for part in find_parts(source)] == [0]


def test_a_part_without_rows_is_a_part(make_parts):
    assert [part.rows for part in find_parts(make_parts(2, 0, 3))] == [2, 0, 3]


def test_a_folder_that_is_none_or_holds_no_parts_is_named(tmp_path):
    with pytest.raises(MissingFile, match="absent is not a folder; expected a folder of parts"):
        find_parts(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(MissingFile, match="file is not a folder"):
        find_parts(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFile, match="empty holds no parts; expected img_emb_"):
        find_parts(tmp_path / "empty")


@pytest.mark.parametrize(
    ("layout", "missing", "told"),
    [
        ("flat", "metadata_1.parquet", "img_emb_1.npy but no metadata_1.parquet; fetch it"),
        ("flat", "text_emb_1.npy", "img_emb_1.npy but no text_emb_1.npy; fetch it"),
        (
            "laion2b",
            "laion2B-en-metadata/metadata_0001.parquet",
            "img_emb_0001.npy but no metadata_0001.parquet; fetch it",
        ),
        (
            "laion2b",
            "text_emb/text_emb_0001.npy",
            "img_emb_0001.npy but no text_emb_0001.npy; fetch it",
        ),
        ("datacomp", f"{1:032x}.parquet", f"{1:032x}.npz has no {1:032x}.parquet beside it"),
    ],
)
def test_a_file_that_is_missing_from_a_part_is_named(make_parts, layout, missing, told):
    source = make_parts(1, 2, layout=layout)
    (source / missing).unlink()
    with pytest.raises(MissingFile, match=told):
        find_parts(source)


def test_the_other_tower_being_absent_is_told(make_parts):
    source = make_parts(2, layout="datacomp")
    path = source / f"{0:032x}.npz"
    np.savez(path, b32_img=np.ones((2, 4), np.float16), b32_txt=np.ones((2, 4), np.float16))
    with pytest.raises(MissingFile, match="holds no array l14_img; it holds b32_img, b32_txt"):
        find_parts(source)


def test_fewer_rows_of_metadata_than_of_vectors_is_told_with_both_counts(make_parts):
    source = make_parts(5, 1000)
    np.save(source / "img_emb_1.npy", np.ones((1001, 8), np.float16))
    with pytest.raises(
        Mismatch,
        match=r"img_emb_1.npy has 1,001 rows, metadata_1.parquet has 1,000: .* fetch part 1 again",
    ):
        find_parts(source)


def test_fewer_text_vectors_than_image_vectors_is_told_with_both_counts(make_parts):
    source = make_parts(5)
    np.save(source / "text_emb_0.npy", np.ones((4, 8), np.float16))
    with pytest.raises(Mismatch, match=r"img_emb_0.npy has 5 rows, text_emb_0.npy has 4"):
        find_parts(source)


@pytest.mark.parametrize("name", ["img_emb_1.npy", "text_emb_1.npy"])
def test_another_dimension_is_refused(make_parts, name):
    source = make_parts(5, 5)
    np.save(source / name, np.ones((5, 9), np.float16))
    with pytest.raises(Mismatch, match=f"{name} has dimension 9, img_emb_0.npy has 8"):
        find_parts(source)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4"])
def test_every_dtype_of_floats_is_found(make_parts, dtype):
    source = make_parts(5)
    np.save(source / "img_emb_0.npy", np.ones((5, 8), dtype))
    assert find_parts(source)[0].image.dtype == np.dtype(dtype)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all", b"PAR1" * 100])
def test_metadata_that_is_no_parquet_is_named(make_parts, content):
    source = make_parts(5)
    (source / "metadata_0.parquet").write_bytes(content)
    with pytest.raises(
        DamagedFile, match=r"metadata_0\.parquet is (not a readable Parquet file|empty).*; fetch"
    ):
        find_parts(source)


def test_damage_anywhere_in_the_metadatas_footer_is_told_in_one_line(make_parts):
    source = make_parts(2, columns={"url": ["a", "b"], "Größe": [1, 2]})
    path = source / "metadata_0.parquet"
    data = path.read_bytes()
    told = []
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for place in range(footer, len(data)):
        changed = bytearray(data)
        changed[place] ^= 128
        path.write_bytes(changed)
        try:
            find_parts(source)
        except PairdexError as error:
            told.append(str(error))
    assert len(told) > 100
    assert not any("\n" in line for line in told)


def test_a_table_of_another_number_of_rows_in_its_groups_is_one_table(make_parts):
    source = make_parts(100)
    stream = io.BytesIO()
    pq.write_table(pa.table({"url": ["a"] * 100}), stream, row_group_size=7)
    (source / "metadata_0.parquet").write_bytes(stream.getvalue())
    assert find_parts(source)[0].rows == 100


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7", {7}),
        ("0-3", {0, 1, 2, 3}),
        ("0-2,5", {0, 1, 2, 5}),
        (" 1 - 2 , 0004 ", {1, 2, 4}),
        ("3-3", {3}),
        ("1,1-2,2", {1, 2}),
    ],
)
def test_part_ranges_are_parsed(text, numbers):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", ",", "a", "1-", "-1", "3-1", "1;2", "1-2-3", "1.5", "0x1"])
def test_what_is_no_part_range_is_refused(text):
    with pytest.raises(InvalidArgument, match="expected numbers and ranges like 0-9,12") as caught:
        parse_numbers(text)
    assert caught.value.field == "parts"


def test_a_range_that_would_fill_the_memory_is_refused():
    with pytest.raises(InvalidArgument, match="expected at most 1,000,000 parts"):
        parse_numbers("0-999999999")


def test_a_part_number_that_is_too_large_is_named(make_parts):
    source = make_parts(1, numbers=[1_000_000_000])
    with pytest.raises(UnsupportedFormat, match="part number 1000000000, expected at most 999,999"):
        find_parts(source)
