"""Folding: near-duplicates go into the first, and k different results are found if there are so many."""

import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument
from pairdex.search.folding import fold

ANGLES = [0, 1, 2, 40, 41, 80, 3, 120, 160, 81]  # degrees; rows 0, 1, 2, 6 are one picture, …


@pytest.fixture
def made(write_part, build, tmp_path):
    angles = np.radians(ANGLES)
    vectors = np.stack([np.cos(angles), np.sin(angles), *[np.zeros(10)] * 6], axis=1)
    write_part(tmp_path / "parts", 0, vectors.astype(np.float16), None, {"n": list(range(10))})
    build(tmp_path / "parts", tmp_path / "c")
    return pairdex.open(tmp_path / "c")


def query(degrees):
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle), *[0] * 6], np.float32)


def search(c, **more):
    found = c.search(vector=query(-1), fold=0.01, **more)  # 0.01: 8 degrees
    return found["id"].to_pylist(), found["folded"].to_pylist()


def test_near_duplicates_go_into_the_first_and_k_different_rows_are_found(made):
    ids, folded = search(made, k=5)
    assert ids == [0, 3, 5, 7, 8]
    assert folded == [[1, 2, 6], [4], [9], [], []]


def test_more_are_fetched_until_k_are_found(made):
    assert search(made, k=1) == ([0], [[1, 2, 6]])  # the first four of the ranking
    assert search(made, k=2) == ([0, 3], [[1, 2, 6], [4]])
    assert search(made, k=10)[0] == [0, 3, 5, 7, 8]


def test_fetching_goes_on_until_there_is_another_result():
    vectors = np.stack([query(0)] * 50 + [query(90)]).astype(np.float16)
    asked = []

    def ranked(count):
        asked.append(count)
        return np.arange(51)[:count]

    folded = fold(ranked, _View(vectors), 2, 0.06)
    assert (folded.places.tolist(), [len(ids) for ids in folded.inside]) == ([0, 50], [49, 0])
    assert asked == [8, 32, 128]


def test_pages_fit_together(made):
    assert search(made, k=2, offset=0)[0] + search(made, k=3, offset=2)[0] == [0, 3, 5, 7, 8]
    assert search(made, k=3, offset=9) == ([], [])


def test_a_threshold_of_0_folds_only_what_points_the_same_way(made):
    found = made.search(vector=query(0), k=10, fold=0)
    assert len(found) == 10
    assert found["folded"].to_pylist() == [[]] * 10


def test_exact_duplicates_are_folded_at_0(write_part, build, tmp_path):
    vectors = np.repeat(np.random.default_rng(0).standard_normal((3, 8)), 5, axis=0)
    write_part(tmp_path / "parts", 0, vectors.astype(np.float16), None, {"n": list(range(15))})
    build(tmp_path / "parts", tmp_path / "c")
    found = pairdex.open(tmp_path / "c").search(vector=np.ones(8), k=3, fold=0)
    assert sorted(found["id"].to_pylist()) == [0, 5, 10]
    assert sorted(map(len, found["folded"].to_pylist())) == [0, 4, 4] or len(found) == 3


def test_a_row_near_two_results_goes_into_the_first():
    vectors = np.stack([query(0), query(12), query(6)]).astype(np.float16)
    folded = fold(lambda n: np.arange(3)[:n], _View(vectors), 3, 0.01)
    assert (folded.places.tolist(), folded.inside) == ([0, 1], [[2], []])


class _View:
    def __init__(self, vectors):
        self._vectors = vectors
        self.shape = vectors.shape

    def __getitem__(self, ids):
        return self._vectors[ids]


def test_results_do_not_depend_on_blocks(monkeypatch):
    vectors = np.random.default_rng(1).standard_normal((200, 8)).astype(np.float16)
    ranked = np.random.default_rng(2).permutation(200)
    whole = fold(lambda n: ranked[:n], _View(vectors), 60, 0.2)
    monkeypatch.setattr("pairdex.search.folding._BLOCK_ROWS", 7)
    pieces = fold(lambda n: ranked[:n], _View(vectors), 60, 0.2)
    assert whole.places.tolist() == pieces.places.tolist()
    assert len(whole.places) <= 60


def test_filters_hold_while_folding(made):
    ids, _ = search(made, k=5, where="n <> 0 AND n <> 5")
    assert ids == [1, 3, 9, 7, 8]


@pytest.mark.parametrize("threshold", [-0.1, 0.51, float("nan"), float("inf")])
def test_a_threshold_out_of_range_is_told(made, threshold):
    with pytest.raises(
        InvalidArgument, match=r"fold is .*, expected a cosine distance from 0 to 0.5"
    ):
        made.search(vector=query(0), fold=threshold)


def test_the_command_line_folds(made, run, tmp_path):
    np.save(tmp_path / "q.npy", query(-1)[None, :])
    out = run("search", made.path, "--like", 0, "-k", 3, "--fold", 0.01, "--json")
    assert [hit["id"] for hit in out.json["hits"]] == [1, 3, 5]
    assert out.json["hits"][0]["folded"] == [2, 6]
