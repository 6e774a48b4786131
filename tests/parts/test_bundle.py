"""Bundles: SISAP's HDF5 files are read whole, in whatever way they are stored, and their TSV beside them."""

import csv
import re

import h5py
import numpy as np
import pytest

import pairdex
from full_disk import run_with_small_files
from pairdex.derived.verify import verify
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.parts.bundle import open_bundle
from pairdex.parts.layout import find_parts
from pairdex.store import write_part
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Store

NAME = "laion2B-en-clip768v2-n=10M.h5"
ODD = [
    "plain",
    'say "hi"',
    "two\nlines",
    "a\ttab",
    "",
    "NA",
    "ünï",
    '"',
    "a\rreturn",
    "null",
    " x ",
]


def vectors(rows, dim=768, seed=1, dtype=np.float16):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(dtype)


def save_bundle(path, rows, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("emb", data=rows, **options)
        file.create_group("_types")["00000001"] = np.zeros(3)  # as Julia leaves it
    return path


def save_tsv(path, rows, texts=ODD):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["caption", "NSFW", "LICENSE", "url"])
        tags = ["UNLIKELY", "UNSURE", "NSFW", ""]
        for row in range(rows):
            writer.writerow(
                [texts[row % len(texts)], tags[row % 4], "?", f"https://example.org/{row}"]
            )
    return path


def rows_of(collection):
    store = Store(collection)
    return store.take(np.arange(store.rows)), store.vectors("image")[:]


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (7, 768)}, {"chunks": (50, 100), "compression": "gzip"}, {"chunks": True}],
    ids=str,
)
def test_vectors_are_read_to_the_bit_however_they_are_stored(build, tmp_path, options, monkeypatch):
    rows = vectors(133)
    save_bundle(tmp_path / NAME, rows, **options)
    monkeypatch.setattr(write_part, "_BLOCK_BYTES", 20 * 768 * 2)
    build(tmp_path / NAME, tmp_path / "c")
    table, stored = rows_of(tmp_path / "c")
    np.testing.assert_array_equal(stored.view(np.uint16), rows.view(np.uint16))
    assert table.column_names == ["part", "row"]
    assert table["row"].to_pylist() == list(range(133))
    assert set(table["part"].to_pylist()) == {0}


def test_the_tsv_beside_a_bundle_becomes_its_columns(build, tmp_path, monkeypatch):
    save_bundle(tmp_path / NAME, vectors(100))
    save_tsv(tmp_path / "meta-10M.tsv", 100)
    monkeypatch.setattr(write_part, "_BLOCK_BYTES", 33 * 768 * 2)
    report = build(tmp_path, tmp_path / "c")
    table, _ = rows_of(tmp_path / "c")
    assert table.column_names == ["caption", "nsfw", "license", "url", "part", "row"]
    expected = [ODD[row % len(ODD)] or None for row in range(100)]
    assert table["caption"].to_pylist() == expected
    assert table["nsfw"].to_pylist()[:5] == ["UNLIKELY", "UNSURE", "NSFW", None, "UNLIKELY"]
    assert (report.notes, report.rows) == ([], 100)
    sources = [source.path for source in read_manifest(tmp_path / "c").parts[0].sources]
    assert sources == [NAME, "meta-10M.tsv"]


def test_another_tsv_can_be_named_and_filters_use_its_columns(build, tmp_path):
    (tmp_path / "source").mkdir()
    save_bundle(tmp_path / "source" / "laion2B-en-clip768-n=100K.h5", vectors(40))
    named = save_tsv(tmp_path / "mine.tsv", 40)
    build(
        tmp_path / "source", tmp_path / "c", metadata=named, nsfw="sisap", where="row < 20", limit=9
    )
    table, _ = rows_of(tmp_path / "c")
    assert table["row"].to_pylist() == [0, 1, 4, 5, 8, 9, 12, 13, 16]
    assert [s.path for s in read_manifest(tmp_path / "c").parts[0].sources] == [
        "laion2B-en-clip768-n=100K.h5",
        "mine.tsv",
    ]


def test_float32_is_stored_as_float16_and_rounding_is_told(build, tmp_path):
    exact = vectors(30).astype(np.float32)
    save_bundle(tmp_path / NAME, exact)
    assert build(tmp_path / NAME, tmp_path / "exact").notes == [
        f"{NAME} has no metadata beside it: the only columns are part and row"
    ]
    rows = exact.copy()
    rows[[4, 17], 5] = 0.1
    rows[20, 0] = 1e6  # more than float16 can hold
    rows[21, 0] = np.nan
    save_bundle(tmp_path / NAME, rows)
    report = build(tmp_path / NAME, tmp_path / "rounded")
    assert report.notes[1] == "values of 3 rows were rounded to float16"
    assert report.dropped["non_finite"] == 2
    assert rows_of(tmp_path / "rounded")[1][4, 5] == np.float16(0.1)
    again = build(tmp_path / NAME, tmp_path / "rounded")
    assert (again.added, again.notes) == (0, report.notes)
    assert "rounded" not in (tmp_path / "exact" / "collection.json").read_text()


def test_zero_and_non_finite_rows_are_dropped_and_counted(build, tmp_path):
    rows = vectors(20)
    rows[3], rows[7, 5], rows[9, 0] = 0, np.nan, np.inf
    save_bundle(tmp_path / NAME, rows)
    report = build(tmp_path / NAME, tmp_path / "c")
    assert (report.rows, report.dropped["zero"], report.dropped["non_finite"]) == (17, 1, 2)
    assert 7 not in rows_of(tmp_path / "c")[0]["row"].to_pylist()


@pytest.mark.parametrize(
    ("name", "rows", "dim"),
    [(NAME, 40, 768), (NAME, 768, 768), ("mine.h5", 9000, 16)],
    ids=["by name", "square", "by shape"],
)
def test_columns_are_turned_into_rows_and_told(build, tmp_path, name, rows, dim):
    upright = vectors(rows, dim)
    is_turned = rows != dim  # a square is taken for rows
    save_bundle(tmp_path / name, upright.T if is_turned else upright)
    report = build(tmp_path / name, tmp_path / "c")
    np.testing.assert_array_equal(rows_of(tmp_path / "c")[1], upright)
    told = f"{name} holds vectors as columns: they were turned into rows"
    assert (told in report.notes) == is_turned


def test_a_collection_of_a_bundle_alone_works_from_end_to_end(tmp_path, run):
    save_bundle(tmp_path / "mine.h5", vectors(60, 16))
    done = run("build", tmp_path / "mine.h5", tmp_path / "c")
    assert (done.status, "note 1" in done.out) == (0, True)
    assert run("info", tmp_path / "c", "--json").json["columns"] == ["part", "row"]
    assert verify(tmp_path / "c").damaged == []
    hits = run("search", tmp_path / "c", "--like", 5, "--where", "row > 30", "--json").json["hits"]
    assert len(hits) == 10
    assert all(hit["row"] > 30 for hit in hits)
    assert pairdex.subset(tmp_path / "c", tmp_path / "s", where="id % 2 = 0").rows == 30
    assert run("search", tmp_path / "c", "--like", 5).status == 0


def test_what_was_exported_is_built_again(collection, tmp_path):
    pairdex.export(collection, tmp_path / "bundle", "sisap")
    assert pairdex.build(tmp_path / "bundle", tmp_path / "again").notes == []
    (before, images), (after, again) = rows_of(collection), rows_of(tmp_path / "again")
    names = ["caption", "nsfw", "license", "url"]
    assert after.select(names) == before.select(names)
    np.testing.assert_array_equal(images, again)


def test_only_the_bundle_of_a_folder_is_taken(build, tmp_path):
    save_bundle(tmp_path / "public-queries-10k-clip768v2.h5", vectors(5, dtype=np.float32))
    save_bundle(tmp_path / "other.h5", vectors(12))
    with h5py.File(tmp_path / "gold.h5", "w") as file:
        file["knns"] = np.zeros((5, 3), np.int32)
    (tmp_path / "notes.h5").write_bytes(b"no HDF5")
    assert build(tmp_path, tmp_path / "c").rows == 12
    save_bundle(tmp_path / NAME, vectors(3))
    with pytest.raises(
        InvalidArgument, match=r"several bundles: laion2B.*, other.h5; name the one"
    ):
        build(tmp_path, tmp_path / "d")


def test_parts_of_numbers_go_before_a_bundle_in_the_same_folder(make_parts, build, tmp_path):
    source = make_parts(5, dim=768)
    save_bundle(source / NAME, vectors(9))
    assert build(source, tmp_path / "c").rows == 5


@pytest.mark.parametrize("lines", [99, 101, 0])
def test_a_tsv_with_another_number_of_rows_is_refused_with_both_counts(build, tmp_path, lines):
    save_bundle(tmp_path / NAME, vectors(100))
    save_tsv(tmp_path / "meta-10M.tsv", lines)
    told = rf"{NAME} has 100 rows, .*meta-10M.tsv has {lines}: the files do not belong"
    with pytest.raises(Mismatch, match=told):
        build(tmp_path / NAME, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_truncated_bundle_is_named(build, tmp_path):
    path = save_bundle(tmp_path / NAME, vectors(100))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(
        DamagedFile, match=r"n=10M\.h5 cannot be read: .*truncated.*; fetch it again"
    ):
        build(path, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_damaged_chunk_is_named_with_its_row(build, tmp_path, monkeypatch):
    path = save_bundle(
        tmp_path / NAME, vectors(100), chunks=(10, 768), compression="gzip", fletcher32=True
    )
    with h5py.File(path) as file:
        place = file["emb"].id.get_chunk_info(5).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 50] ^= 255
    path.write_bytes(data)
    monkeypatch.setattr(write_part, "_BLOCK_BYTES", 10 * 768 * 2)
    with pytest.raises(DamagedFile, match=r"n=10M\.h5 at row 50 cannot be read: .*; fetch it"):
        build(path, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_file_without_the_dataset_lists_what_it_has(tmp_path):
    with h5py.File(tmp_path / "laion2B-en-pca32v2-n=10M.h5", "w") as file:
        file["pca32"] = np.zeros((7, 32), np.float32)
        file["n"] = 7
        file.create_group("_types")
    told = r"n=10M\.h5 has no dataset emb or train; it has n \(\) int64, pca32 \(7, 32\) float32: expected"
    with pytest.raises(UnsupportedFormat, match=told):
        find_parts(tmp_path / "laion2B-en-pca32v2-n=10M.h5")
    with pytest.raises(MissingFile, match=r"holds no parts; expected .* or a bundle like"):
        find_parts(tmp_path)


@pytest.mark.parametrize(
    "data", [np.zeros((3, 4, 5), np.float16), np.zeros((5, 8)), np.zeros((5, 8), np.int16)]
)
def test_a_dataset_of_another_kind_is_refused(tmp_path, data):
    with pytest.raises(UnsupportedFormat, match=r"expected float16 or float32 of shape \(n, dim\)"):
        open_bundle(save_bundle(tmp_path / "b.h5", data))


def test_what_is_absent_or_does_not_go_together_is_told(make_parts, build, tmp_path):
    path = save_bundle(tmp_path / NAME, vectors(9))
    with pytest.raises(MissingFile, match=r"meta\.tsv does not exist; expected the metadata of"):
        build(path, tmp_path / "c", metadata=tmp_path / "meta.tsv")
    with pytest.raises(MissingFile, match=r"n=10M\.h5 holds no part 3; it holds 1 part, 0 to 0"):
        build(path, tmp_path / "c", parts=frozenset({3}))
    with pytest.raises(Mismatch, match=r"no column NSFW, which the rule sisap needs; .* none"):
        build(path, tmp_path / "c", nsfw="sisap")
    tsv = save_tsv(tmp_path / "meta.tsv", 5)
    with pytest.raises(InvalidArgument, match="holds parts with metadata of their own, got"):
        build(make_parts(5), tmp_path / "c", metadata=tsv)


def test_a_disk_that_is_full_ends_in_one_line_and_the_same_call_goes_on(build, tmp_path, tree):
    save_bundle(tmp_path / NAME, vectors(50))
    ended = run_with_small_files(20_000, "build", tmp_path / NAME, tmp_path / "full" / "c")
    assert ended.returncode == 1
    assert re.fullmatch(r"pairdex: cannot write .*; free space and run .*\n", ended.stderr)
    assert list((tmp_path / "full").rglob("*")) == []
    for place in ("full", "fresh"):
        build(tmp_path / NAME, tmp_path / place / "c")
    assert tree(tmp_path / "full") == tree(tmp_path / "fresh")


def test_a_build_from_a_bundle_gives_the_same_bytes_again_and_adds_nothing(build, tmp_path, tree):
    save_bundle(tmp_path / NAME, vectors(50))
    save_tsv(tmp_path / "meta-10M.tsv", 50)
    build(tmp_path / NAME, tmp_path / "file" / "c")
    build(tmp_path, tmp_path / "folder" / "c")
    assert tree(tmp_path / "file") == tree(tmp_path / "folder")
    before = tree(tmp_path / "file")
    assert build(tmp_path / NAME, tmp_path / "file" / "c").added == 0
    assert tree(tmp_path / "file") == before
