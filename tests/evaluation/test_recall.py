"""Recall on cases small enough to be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairdex.evaluation import recall
from pairdex.evaluation.recall import found_true, found_true_or_tied, shared
from pairdex.reference.read_gold import Gold

GOLD = Gold(
    "gold.h5",
    ids=np.array([[3, 1, 4, 7], [5, 9, 2, 6]]),
    # The second query's 2nd to 4th neighbours are equally far.
    distances=np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.2, 0.2]], np.float32),
    facts={},
)


def found(*rows):
    return np.array(rows, np.int64)


@pytest.mark.parametrize(
    ("ids", "k", "plain", "tied"),
    [
        (found([3, 1, 4], [5, 9, 2]), 3, [3, 3], [3, 3]),
        (found([4, 3, 1], [2, 5, 9]), 3, [3, 3], [3, 3]),  # any order
        (found([3, 1, 4], [5, 9, 2]), 2, [2, 2], [2, 2]),
        (found([3, 4, 1], [5, 2, 9]), 2, [1, 1], [1, 2]),  # 2 is as far as 9, 4 is farther than 1
        (found([3, 7, 8], [5, 6, 2]), 2, [1, 1], [1, 2]),
        (found([7, 4, 1], [6, 2, 9]), 2, [0, 0], [0, 2]),
        (found([3, 3, 3], [5, 5, 5]), 3, [1, 1], [1, 1]),  # a row found thrice was found once
        (found([-1, -1, -1], [9, -1, -1]), 2, [0, 1], [0, 1]),
        (found([3], [9]), 3, [1, 1], [1, 1]),  # fewer than k were found
        (found([0, 0, 3], [0, 0, 5]), 2, [0, 0], [0, 0]),  # what stands behind the k-th counts not
    ],
)
def test_rows_found_are_counted_as_by_hand(ids, k, plain, tied):
    assert found_true(ids, GOLD, k).tolist() == plain
    assert found_true_or_tied(ids, GOLD, k).tolist() == tied


def test_ties_never_count_more_than_k():
    gold = Gold("g", np.arange(6)[None], np.zeros((1, 6), np.float32), {})
    assert found_true_or_tied(found([5, 4, 3, 2]), gold, 2).tolist() == [2]


@given(
    st.lists(st.lists(st.integers(-1, 9), min_size=4, max_size=4), min_size=1, max_size=8),
    st.lists(st.lists(st.integers(-1, 9), min_size=3, max_size=3), min_size=8, max_size=8),
)
def test_shared_is_the_size_of_the_intersection_of_sets(one, other):
    expected = [len((set(a) & set(b)) - {-1}) for a, b in zip(one, other, strict=False)]
    assert shared(np.array(one), np.array(other[: len(one)])).tolist() == expected


def test_blocks_of_queries_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    one, other = random.integers(-1, 20, (17, 6)), random.integers(-1, 20, (17, 5))
    whole = shared(one, other)
    for size in (1, 4, 16, 17):
        monkeypatch.setattr(recall, "_BLOCK", size)
        np.testing.assert_array_equal(shared(one, other), whole)


def test_ids_of_a_billion_rows_are_told_apart_by_query():
    big = 10**9
    assert shared(found([big, 1], [2, big]), found([big, 2], [1, big - 1])).tolist() == [1, 0]
