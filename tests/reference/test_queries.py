"""Queries are drawn by SISAP's rule of 2023, the same ones for the same seed."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files.query_files import read_queries, read_query_set
from pairdex.knn.distance import cosine_distance
from pairdex.reference.queries import _draws
from pairdex.store.store import Store


@pytest.fixture
def make(write_part, build, tmp_path):
    """A function that builds a collection of given image and text vectors."""

    def collection(name, image, text=None):
        image = np.asarray(image, np.float16)
        write_part(tmp_path / f"parts-{name}", 0, image, text, {"url": ["u"] * len(image)})
        build(tmp_path / f"parts-{name}", tmp_path / name)
        return tmp_path / name

    return collection


def random_rows(rows, dim=6, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float16)


def read(path):
    with h5py.File(path) as file:
        return file["emb"][()], file["ids"][()], dict(file.attrs)


def by_hand(vectors, database, itself=True):
    """Which rows satisfy the rule, by all distances."""
    distances = cosine_distance(vectors[:, None], database[None])
    if itself:
        np.fill_diagonal(distances, np.inf)
    d = np.sort(distances, axis=1)
    d32 = d.astype(np.float32)
    return set(np.flatnonzero((d32[:, 9] != d32[:, 10]) & (d[:, :10].sum(axis=1) > 0.1)).tolist())


def tied_and_crowded(rows=60):
    """Rows among which some are near-duplicates of ten others, and some have ties at 10."""
    vectors = random_rows(rows)
    vectors[:12] = vectors[0]  # each of these has 11 equal ones: both rules leave it out
    return vectors


@pytest.mark.parametrize("use_codes", [True, False])
def test_every_row_that_satisfies_the_rule_can_be_drawn_and_no_other(make, tmp_path, use_codes):
    vectors = tied_and_crowded()
    expected = by_hand(vectors, vectors)
    assert 0 < len(expected) < 60
    c = make("c", vectors)
    report = pairdex.queries(c, tmp_path / "q.h5", len(expected), use_codes=use_codes)
    emb, ids, _ = read(tmp_path / "q.h5")
    assert set(ids.tolist()) == expected
    np.testing.assert_array_equal(emb, vectors[ids])
    assert (emb.dtype, ids.dtype) == (np.float16, np.int64)
    assert report.n == len(expected)
    assert report.drawn - report.ties - report.near_duplicates == report.n


def test_one_more_than_there_are_is_refused_with_their_number(make, tmp_path):
    vectors = tied_and_crowded()
    count = len(by_hand(vectors, vectors))
    c = make("c", vectors)
    with pytest.raises(
        InvalidArgument,
        match=rf"has {count} rows that can be queries, {count + 1} were .* of 60 drawn",
    ):
        pairdex.queries(c, tmp_path / "q.h5", count + 1)
    assert not (tmp_path / "q.h5").exists()


def test_the_seed_decides_and_codes_and_blocks_do_not(make, tmp_path):
    c = make("c", random_rows(300))
    for name, options in {
        "a": {"seed": 1},
        "b": {"seed": 1, "use_codes": False},
        "c": {"seed": 2},
    }.items():
        pairdex.queries(c, tmp_path / f"{name}.h5", 20, **options)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert read(tmp_path / "a.h5")[1].tolist() != read(tmp_path / "c.h5")[1].tolist()


def test_a_database_is_what_the_queries_are_compared_with(make, tmp_path):
    vectors = random_rows(40)
    database = np.concatenate([random_rows(30, seed=1), np.repeat(vectors[:1], 12, axis=0)])
    expected = by_hand(vectors, database, itself=False)
    assert 0 not in expected
    c, other = make("c", vectors), make("other", database)
    pairdex.queries(c, tmp_path / "q.h5", len(expected), against=other)
    _, ids, attributes = read(tmp_path / "q.h5")
    assert set(ids.tolist()) == expected
    assert attributes["against"] == "other"
    assert attributes["against_checksum"] == Store(other).manifest.checksum
    assert attributes["collection_checksum"] == Store(c).manifest.checksum


def test_distinct_keeps_one_of_rows_that_are_the_same(make, tmp_path):
    vectors = random_rows(80)
    vectors[70:] = vectors[:10]  # pairs: mostly neither a tie at 10 nor near-duplicates by the rule
    vectors = vectors[np.argsort(np.random.default_rng(4).random(80))]
    c = make("c", vectors)
    possible = len(by_hand(vectors, vectors))
    pairs = len({vectors[row].tobytes() for row in by_hand(vectors, vectors)})
    assert pairs < possible
    report = pairdex.queries(c, tmp_path / "q.h5", pairs, distinct=True)
    emb, _, _ = read(tmp_path / "q.h5")
    distances = cosine_distance(emb[:, None], emb[None])
    np.fill_diagonal(distances, 1)
    assert distances.min() >= 1e-4
    assert report.repeated > 0
    with pytest.raises(InvalidArgument, match=f"has {pairs} rows that can be queries"):
        pairdex.queries(c, tmp_path / "r.h5", pairs + 1, distinct=True)


def test_text_vectors_are_compared_with_images(make, tmp_path):
    image, text = random_rows(40), random_rows(40, seed=7)
    expected = by_hand(text, image)
    pairdex.queries(make("c", image, text), tmp_path / "q.h5", len(expected), on="text")
    emb, ids, attributes = read(tmp_path / "q.h5")
    np.testing.assert_array_equal(emb, text[ids])
    assert set(ids.tolist()) == expected
    assert (attributes["kind"], attributes["against_kind"]) == ("text", "image")


def test_the_file_is_read_as_queries_with_their_kind(make, tmp_path):
    c = make("c", random_rows(40), random_rows(40, seed=7))
    pairdex.queries(c, tmp_path / "q.h5", 5, on="text")
    np.testing.assert_array_equal(read_queries(tmp_path / "q.h5"), read(tmp_path / "q.h5")[0])
    assert read_query_set(tmp_path / "q.h5").facts["kind"] == "text"
    pairdex.gold(c, tmp_path / "q.h5", tmp_path / "g.h5", k=3)
    with h5py.File(tmp_path / "g.h5") as file:
        assert file.attrs["kind"] == "text"


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("rows", [1, 3, 50, 1000])
def test_draws_are_all_rows_once_in_random_order(rows, at_once):
    drawn = np.concatenate(list(_draws(rows, 3, None, at_once=at_once)))
    assert sorted(drawn.tolist()) == list(range(rows))
    assert rows < 50 or drawn.tolist() != sorted(drawn.tolist())


def test_draws_are_even(monkeypatch):
    first = [int(next(_draws(10, seed, None, at_once=5))[0]) for seed in range(2000)]
    counts = np.bincount(first, minlength=10)
    assert counts.min() > 140
    assert counts.max() < 260


def test_the_command_says_how_many_and_why_others_were_left_out(make, run, tmp_path):
    c = make("c", tied_and_crowded())
    out = run("queries", c, "--out", tmp_path / "q.h5", "-n", 5, "--seed", 3, "--json")
    assert out.status == 0, out.err
    assert {"n", "drawn", "ties", "near_duplicates", "repeated", "seconds"} <= out.json.keys()
    assert out.json["n"] == 5
    out = run("queries", c, "--out", tmp_path / "distinct.h5", "-n", 5, "--seed", 3, "--distinct")
    assert "left out: repeated" in out.out


def test_bad_input_ends_in_one_line_before_codes_are_made(make, run, tmp_path):
    c, other = make("c", random_rows(20)), make("other", random_rows(20, dim=4))
    few = make("few", random_rows(11))
    ask = ("queries", c, "--out", tmp_path / "q.h5")
    assert "n is 21, " in run(*ask, "-n", 21).complaint
    assert "n is 0, " in run(*ask, "-n", 0).complaint
    assert "has no 'text' vectors" in run(*ask, "-n", 2, "--on", "text").complaint
    assert "of 4: queries are" in run(*ask, "-n", 2, "--against", other).complaint
    assert "10 rows to compare with" in run("queries", few, *ask[2:], "-n", 2).complaint
    assert "ends in .h5" in run("queries", c, "--out", tmp_path / "q.npy", "-n", 2).complaint
    assert not (c / "indexes").exists()
    assert not (tmp_path / "q.h5").exists()
    with pytest.raises(Mismatch):
        pairdex.queries(c, tmp_path / "q.h5", 2, against=other)


def test_removed_rows_are_neither_drawn_nor_neighbours(make, run, tmp_path):
    vectors = random_rows(60)
    c = make("c", vectors)
    gone = list(range(0, 60, 3))
    (tmp_path / "ids.txt").write_text("\n".join(map(str, gone)))
    done = run("remove", c, "--ids", tmp_path / "ids.txt", "--reason", "test")
    assert done.status == 0, done.err
    live = np.setdiff1d(np.arange(60), gone)
    expected = {int(live[row]) for row in by_hand(vectors[live], vectors[live])}
    pairdex.queries(c, tmp_path / "q.h5", len(expected))
    assert set(read(tmp_path / "q.h5")[1].tolist()) == expected


def test_the_same_command_again_keeps_its_file_and_another_draw_is_refused(collection, tmp_path):
    out = tmp_path / "q.h5"
    pairdex.queries(collection, out, 10)
    before = out.read_bytes()
    pairdex.queries(collection, out, 10)
    assert out.read_bytes() == before
    for other in ({"n": 11}, {"seed": 4}, {"distinct": True}):
        with pytest.raises(InvalidArgument, match=r"q\.h5 exists, and gold standards"):
            pairdex.queries(collection, out, **{"n": 10} | other)
    assert out.read_bytes() == before
