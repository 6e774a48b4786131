"""SISAP's bundle and metadata file, read by HDF5 and CSV readers: row i is the same in all files."""

import csv
import io
import itertools

import h5py
import numpy as np
import pyarrow as pa
import pytest

import pairdex
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.exports.sisap import export_sisap
from pairdex.exports.tsv import export_tsv
from pairdex.store.store import Store

AWKWARD = [
    "plain", "", None, 'a "quoted" word', '"', "a\ttab", "two\nlines", "cr\r\nlf", "'single'",
    " spaces ", "naïve 漢字 🙂", "back\\slash \\t", '""', "ends with quote\"", "\x00nul", "a,b;c",
]  # fmt: skip


@pytest.fixture
def awkward(make_parts, build, tmp_path):
    """A collection with awkward captions, tags, licences and URLs."""
    columns = {
        "url": [None if c is None else f"http://example.org/{c}" for c in AWKWARD],
        "caption": AWKWARD,
        "NSFW": AWKWARD[::-1],
        "LICENSE": [None, "?", "", "CC"] * 4,
    }
    build(make_parts(len(AWKWARD), columns=columns), tmp_path / "awkward")
    return tmp_path / "awkward"


def read_tsv(path):
    with path.open(newline="", encoding="utf-8") as file:
        text = file.read()
    # The csv module of older Pythons stops at NUL.
    rows = list(csv.reader(io.StringIO(text.replace("\x00", "␀"), newline=""), delimiter="\t"))
    return [[field.replace("␀", "\x00") for field in row] for row in rows]


def test_the_bundle_has_vectors_and_metadata_of_the_same_rows(collection, tmp_path):
    report = pairdex.export(collection, tmp_path / "out", "sisap")
    assert (report.rows, report.files, report.left_out, report.notes) == (60, 2, {}, [])
    with h5py.File(tmp_path / "out" / "collection-clip8-n=60.h5") as file:
        emb = file["emb"]
        np.testing.assert_array_equal(emb, np.asarray(Store(collection).vectors("image")))
        assert (emb.dtype, emb.chunks, emb.compression) == (np.float16, None, None)
        assert list(file) == ["emb"]
        assert file.attrs["collection_checksum"] == Store(collection).checksum
    header, *rows = read_tsv(tmp_path / "out" / "meta-60.tsv")
    assert header == ["caption", "NSFW", "LICENSE", "url"]
    table = pairdex.open(collection).take(range(60))
    expected = [
        [value or "" for value in row]
        for row in zip(
            *(table[name].to_pylist() for name in ("caption", "nsfw", "license", "url")),
            strict=True,
        )
    ]
    assert rows == expected


def test_every_awkward_text_is_read_back(awkward, tmp_path):
    pairdex.export(awkward, tmp_path / "out", "tsv")
    _, *rows = read_tsv(tmp_path / "out" / "meta-16.tsv")
    assert [row[0] for row in rows] == [caption or "" for caption in AWKWARD]
    assert [row[1] for row in rows] == [tag or "" for tag in AWKWARD[::-1]]
    assert [row[2] for row in rows] == ["", "?", "", "CC"] * 4
    assert rows[3][3] == 'http://example.org/a "quoted" word'


def test_fields_are_quoted_only_where_necessary(awkward, tmp_path):
    pairdex.export(awkward, tmp_path / "out", "tsv")
    text = (tmp_path / "out" / "meta-16.tsv").read_bytes().decode()
    assert text.startswith("caption\tNSFW\tLICENSE\turl\nplain\t")
    assert '\n"a ""quoted"" word"\t' in text
    assert "\n'single'\t" in text
    assert "\n spaces \t" in text
    assert text.endswith("\n")


def test_missing_columns_are_empty_and_noted(make_parts, build, tmp_path, run):
    build(make_parts(3, columns={"url": ["a", "b", "c"]}), tmp_path / "c")
    out = run("export", tmp_path / "c", tmp_path / "out", "--format", "tsv")
    assert "note: the collection has no caption, NSFW, LICENSE: these columns are empty" in out.out
    assert read_tsv(tmp_path / "out" / "meta-3.tsv")[1:] == [["", "", "", one] for one in "abc"]


def test_removed_rows_are_left_out_and_ids_lists_the_rows(collection, run, tmp_path):
    gone = [0, 7, 31, 59]
    (tmp_path / "ids.txt").write_text("\n".join(map(str, gone)))
    assert run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "x").status == 0
    live = np.setdiff1d(np.arange(60), gone)
    out = run("export", collection, tmp_path / "out", "--format", "sisap", "--json")
    assert (out.json["rows"], out.json["left_out"]) == (56, {"removed": 4})
    assert "removed rows were left out" in out.json["notes"][0]
    with h5py.File(tmp_path / "out" / "collection-clip8-n=56.h5") as file:
        np.testing.assert_array_equal(file["ids"], live)
        np.testing.assert_array_equal(file["emb"], Store(collection).vectors("image")[live])
    rows = read_tsv(tmp_path / "out" / "meta-56.tsv")[1:]
    captions = pairdex.open(collection).take(live)["caption"].to_pylist()
    assert [row[0] for row in rows] == captions


def test_projections_are_separate_files(collection, tmp_path):
    pairdex.project(collection, "pca4")
    report = pairdex.export(collection, tmp_path / "out", "sisap")
    assert (report.rows, report.files) == (60, 3)
    with h5py.File(tmp_path / "out" / "collection-pca4-n=60.h5") as file:
        assert list(file) == ["pca4"]
        assert (file["pca4"].shape, file["pca4"].dtype) == ((60, 4), np.float32)
        blocks = [np.load(path) for path in sorted(collection.glob("projections/pca4/0*.npy"))]
        np.testing.assert_array_equal(file["pca4"], np.concatenate(blocks))


@pytest.mark.parametrize("export", [export_sisap, export_tsv])
def test_the_same_collection_gives_the_same_bytes_after_any_number_of_kills(
    export, collection, tmp_path, tree, monkeypatch
):
    pairdex.project(collection, "pca4")
    export(Store(collection), tmp_path / "whole")
    rename = type(tmp_path).replace

    class Killed(BaseException):
        pass

    for survived in itertools.count():
        calls = []

        def replace(path, target, calls=calls, survived=survived):
            if len(calls) == survived:
                raise Killed
            calls.append(target)
            return rename(path, target)

        monkeypatch.setattr(type(tmp_path), "replace", replace)
        target = tmp_path / f"killed-{survived}"
        try:
            export(Store(collection), target)
            break
        except Killed:
            monkeypatch.setattr(type(tmp_path), "replace", rename)
            assert not target.exists()
        export(Store(collection), target)
        assert tree(target) == tree(tmp_path / "whole")
    assert survived > 2


def test_progress_reaches_the_end_once(collection, tmp_path):
    seen = []
    export_sisap(Store(collection), tmp_path / "out", progress=lambda *at: seen.append(at))
    assert seen == sorted(seen)
    assert seen[-1] == (120, 120)


def test_removing_rows_during_an_export_is_an_error(collection, run, tmp_path):
    (tmp_path / "ids.txt").write_text("5")

    def remove(done, rows):
        if not (collection / "removed.arrow").exists():
            run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "x")

    with pytest.raises(Mismatch, match=r"rows were removed from .* during the export"):
        export_sisap(Store(collection), tmp_path / "out", progress=remove)
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_refused(collection, run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for form in ("sisap", "tsv"):
        out = run("export", collection, tmp_path / "out", "--format", form)
        assert "already exists" in out.complaint
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    with pytest.raises(InvalidArgument, match="has no option rows"):
        pairdex.export(collection, tmp_path / "other", "sisap", rows=10)


def test_metadata_of_other_types_is_written_as_text(make_parts, build, tmp_path):
    columns = {
        "url": ["a", "b"],
        "caption": ["x", "y"],
        "NSFW": ["UNSURE", None],
        "LICENSE": pa.array([1, None]),
    }
    build(make_parts(2, columns=columns), tmp_path / "c")
    pairdex.export(tmp_path / "c", tmp_path / "out", "tsv")
    assert read_tsv(tmp_path / "out" / "meta-2.tsv")[1:] == [
        ["x", "UNSURE", "1", "a"],
        ["y", "", "", "b"],
    ]


def test_a_collection_built_of_the_bundle_has_the_same_vectors_and_metadata(
    awkward, build, tmp_path
):
    pairdex.project(awkward, "pca4")
    pairdex.export(awkward, tmp_path / "bundle", "sisap")
    build(tmp_path / "bundle", tmp_path / "again")
    before, after = Store(awkward), Store(tmp_path / "again")
    np.testing.assert_array_equal(after.vectors("image")[:], before.vectors("image")[:])
    names, ids = ["caption", "nsfw", "license", "url"], np.arange(len(AWKWARD))
    assert after.take(ids, names).to_pydict() == before.take(ids, names).to_pydict()
