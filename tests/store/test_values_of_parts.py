"""Parts that are added one by one give what one build of all gives, whatever their columns hold."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

import pairdex
from pairdex.derived.verify import verify
from pairdex.errors import Mismatch
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Store

VALUES = {
    "null": pa.nulls(2),
    "int8": pa.array([1, None], pa.int8()),
    "int64": pa.array([2**40, 3]),
    "uint64": pa.array([2**63, 1], pa.uint64()),
    "half": pa.array([0.5, np.nan], pa.float16()),
    "float": pa.array([0.1, None], pa.float32()),
    "double": pa.array([0.1, 2.0]),
    "text": pa.array(["seven", None]),
    "bool": pa.array([True, False]),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
    "time": pa.array([10**9, None], pa.timestamp("s")),
}


def rows_of(collection):
    store = Store(collection)
    return store.take(np.arange(store.rows))


def built(make_parts, build, tmp_path, columns, name):
    """Build parts with these columns at once and one by one; return both collections."""
    source = tmp_path / name
    for number, one in enumerate(columns):
        make_parts(2, numbers=[number], folder=name, columns=one)
    build(source, tmp_path / name / "once")
    for number in range(len(columns)):
        build(source, tmp_path / name / "several", parts=frozenset({number}))
    return tmp_path / name / "once", tmp_path / name / "several"


def test_two_parts_one_by_one_equal_both_at_once_whatever_their_types(
    make_parts, build, run, tmp_path
):
    pairs = list(itertools.permutations(VALUES, 2))
    columns = [
        {"url": ["a", "b"]} | {"-".join(pair): VALUES[pair[number]] for pair in pairs}
        for number in (0, 1)
    ]
    once, several = built(make_parts, build, tmp_path, columns, "parts")
    for name in rows_of(once).column_names:
        assert rows_of(once)[name].equals(rows_of(several)[name]), name
    assert read_manifest(once).columns == read_manifest(several).columns
    assert verify(several).damaged == []
    for collection in (once, several):
        asked = run("sql", collection, 'SELECT count("text-half") AS n FROM pairs', "--json")
        assert asked.json["values"] == [{"n": 2}]


@pytest.mark.parametrize("seed", range(6))
def test_many_parts_in_any_order_one_by_one_equal_all_at_once(make_parts, build, tmp_path, seed):
    names = np.random.default_rng(seed).permutation([*VALUES])[:5]
    columns = [{"url": ["a", "b"], "x": VALUES[name]} for name in names]
    once, several = built(make_parts, build, tmp_path, columns, "parts")
    assert rows_of(once).equals(rows_of(several))
    assert rows_of(once)["x"].null_count == sum(
        VALUES[name].null_count + (name == "half") for name in names
    )


def test_names_in_other_letters_are_the_same_columns(make_parts, build, tmp_path):
    columns = [
        {"url": ["a", "b"], "caption": ["c", "d"], "Score": [1, 2]},
        {"score": [3, 4], "TEXT": ["g", "h"], "URL": ["e", "f"]},
    ]
    once, several = built(make_parts, build, tmp_path, columns, "parts")
    assert rows_of(once).equals(rows_of(several))
    assert rows_of(once).column_names[:3] == ["url", "caption", "Score"]
    assert rows_of(once)["caption"].to_pylist() == ["c", "d", "g", "h"]


def test_a_filter_may_use_a_name_of_the_first_part_for_the_second(make_parts, build, tmp_path):
    make_parts(2, columns={"TEXT": ["a dog", "x"]})
    source = make_parts(2, numbers=[1], columns={"caption": ["y", "the dog"]})
    assert build(source, tmp_path / "once", where="TEXT LIKE '%dog'").rows == 2
    for number in (0, 1):
        build(source, tmp_path / "several", where="TEXT LIKE '%dog'", parts=frozenset({number}))
    assert rows_of(tmp_path / "once").equals(rows_of(tmp_path / "several"))


def test_a_reader_of_the_old_columns_keeps_them_while_parts_are_added(make_parts, build, tmp_path):
    build(make_parts(2, columns={"x": [1, 2]}), tmp_path / "c")
    manifest = read_manifest(tmp_path / "c")
    source = make_parts(2, numbers=[1], columns={"x": ["a", "b"]})
    build(source, tmp_path / "c")
    assert all((tmp_path / "c" / file.path).exists() for file in manifest.files())
    build(source, tmp_path / "c")
    assert not (tmp_path / "c" / manifest.parts[0].files["metadata"].path).exists()


def test_a_column_of_lists_does_not_become_one_of_numbers(make_parts, build, tmp_path, tree):
    build(make_parts(2, columns={"x": [1, 2]}), tmp_path / "c")
    before = tree(tmp_path / "c")
    source = make_parts(2, numbers=[1], columns={"x": [[1], [2]]})
    with pytest.raises(Mismatch, match="do not agree in type: x of metadata_1"):
        build(source, tmp_path / "c", parts=frozenset({1}))
    assert tree(tmp_path / "c") == before


def test_missing_similarities_pass_no_filter(make_parts, build, run, tmp_path):
    similarity = pa.array(np.where(np.arange(20) % 2, np.nan, 0.4))
    source = make_parts(20, columns={"similarity": similarity, "other": similarity})
    for column in ("similarity", "other"):
        assert build(source, tmp_path / column, where=f"{column} > 0.3").rows == 10
    build(source, tmp_path / "c")
    asked = run("sql", tmp_path / "c", "SELECT max(other) AS m FROM pairs", "--json")
    assert asked.json["values"] == [{"m": 0.4}]


def test_values_that_do_not_fit_are_counted_in_the_notes_and_the_manifest(
    make_parts, build, tmp_path
):
    columns = {"width": ["640", "wide", "", None], "caption": [b"\xff", b"a", b"b", b"c"]}
    report = build(make_parts(4, columns=columns), tmp_path / "c")
    assert read_manifest(tmp_path / "c").parts[0].invalid == {"caption": 1, "width": 1}
    assert [note.partition(" did")[0] for note in report.notes] == [
        "1 value of caption",
        "1 value of width",
    ]
    assert rows_of(tmp_path / "c")["width"].to_pylist() == [640, None, None, None]


@pytest.mark.parametrize("form", ["<f2", ">f2", "<f4", "<f8", "bfloat16", "fortran"])
def test_every_form_of_vectors_is_built(make_parts, build, tmp_path, form):
    source = make_parts(30)
    rows = np.load(source / "img_emb_0.npy")
    if form == "bfloat16":
        halves = (rows.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        np.save(source / "img_emb_0.npy", halves.view("V2"))
    elif form == "fortran":
        np.save(source / "img_emb_0.npy", np.asfortranarray(rows))
    else:
        np.save(source / "img_emb_0.npy", rows.astype(form))
    report = build(source, tmp_path / "c")
    stored = pairdex.open(tmp_path / "c").vectors("image")[:]
    assert (report.rows, stored.dtype) == (30, np.float16)
    if form == "bfloat16":
        assert np.abs(stored - rows).max() < 0.01
    else:
        np.testing.assert_array_equal(stored, rows)
        assert report.notes == []


def test_rounding_of_vectors_is_noted(make_parts, build, tmp_path):
    source = make_parts(30)
    rows = np.load(source / "img_emb_0.npy").astype(np.float64)
    rows[7] += 1e-5
    np.save(source / "img_emb_0.npy", rows)
    assert build(source, tmp_path / "c").notes == ["values of 1 row were rounded to float16"]


def test_a_long_run_of_zeros_is_noted(make_parts, build, tmp_path, monkeypatch):
    source = make_parts(1000)
    rows = np.load(source / "img_emb_0.npy")
    rows[600:] = 0
    np.save(source / "img_emb_0.npy", rows)
    monkeypatch.setattr("pairdex.store.write_part._BLOCK_BYTES", 8 * 2 * 33)
    report = build(source, tmp_path / "c")
    assert report.dropped["zero"] == 400
    assert report.notes == [
        "part 0 has 400 rows of zeros one after the other, which were dropped: its file looks half "
        "fetched"
    ]
