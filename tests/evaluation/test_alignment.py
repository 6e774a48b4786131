"""Results are turned and renumbered as their files show, and what is not the rule is said."""

import numpy as np
import pytest

from pairdex.errors import DamagedFile, Mismatch
from pairdex.evaluation.alignment import aligned
from pairdex.files.neighbour_files import NeighbourTable
from pairdex.reference.read_gold import Gold

INF = np.inf


def gold_of(ids, **facts):
    ids = np.array(ids, np.int64)
    return Gold("gold.h5", ids, np.sort(np.random.default_rng(0).random(ids.shape)), dict(facts))


def table_of(knns, dists=None, **facts):
    dists = None if dists is None else np.array(dists, np.float32)
    return NeighbourTable("found.h5", np.array(knns, np.int64), dists, facts)


GOLD = gold_of([[2, 0, 4], [1, 3, 2]], rows=6)
TRUE = np.array([[2, 0, 4], [1, 3, 2]])
NEAR = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]


def test_ids_from_1_are_the_rule_and_no_note():
    ids, notes = aligned(table_of(TRUE + 1, NEAR), GOLD)
    np.testing.assert_array_equal(ids, TRUE)
    assert notes == []


def test_columns_are_recognised_by_the_number_of_queries():
    ids, notes = aligned(table_of((TRUE + 1).T), GOLD)
    np.testing.assert_array_equal(ids, TRUE)
    assert notes == ["transposed: (k, n) instead of (n, k)"]


def test_as_many_queries_as_neighbours_are_decided_by_where_distances_ascend():
    gold = gold_of([[0, 1], [2, 3]])
    near = np.array([[0.1, 0.4], [0.05, 0.2]])
    ids, notes = aligned(table_of([[1, 2], [3, 4]], near), gold)
    assert ids.tolist() == [[0, 1], [2, 3]]
    assert notes == ["n = k = 2: rows read as queries, as distances ascend along them"]
    ids, notes = aligned(table_of([[1, 3], [2, 4]], near.T), gold)
    assert ids.tolist() == [[0, 1], [2, 3]]
    assert notes == ["n = k = 2: columns read as queries, as distances ascend along them"]


def test_and_without_distances_by_the_gold_standard():
    gold = gold_of([[0, 1], [2, 3]])
    ids, notes = aligned(table_of([[1, 3], [2, 4]]), gold)
    assert ids.tolist() == [[0, 1], [2, 3]]
    assert notes == ["n = k = 2: columns read as queries, as they agree with the gold standard"]


def test_a_0_before_other_ids_is_the_first_row():
    ids, notes = aligned(table_of(TRUE, NEAR), GOLD)
    np.testing.assert_array_equal(ids, TRUE)
    assert notes == ["ids assumed to count from 0: there is a 0, and it comes before other ids"]


def test_zeros_that_fill_the_ends_of_rows_are_no_neighbours():
    ids, notes = aligned(table_of([[3, 0, 0], [2, 4, 3]]), GOLD)
    assert ids.tolist() == [[2, -1, -1], [1, 3, 2]]
    assert notes == ["ids assumed to count from 1, 0 for no neighbour: it fills the ends of rows"]


def test_zeros_without_a_distance_are_no_neighbours():
    near = [[0.1, 0.2, INF], [0.1, 0.2, 0.3]]
    ids, notes = aligned(table_of([[3, 1, 0], [2, 4, 3]], near), GOLD)
    assert ids.tolist() == [[2, 0, -1], [1, 3, 2]]
    assert notes == ["ids assumed to count from 1, 0 for no neighbour: it has no distance"]


@pytest.mark.parametrize(
    ("knns", "expected", "note"),
    [
        ([[2, 4, 0], [1, 3, 2]], [[2, 4, 0], [1, 3, 2]], "ids assumed to count from 0"),
        ([[3, 5, 0], [2, 4, 3]], [[2, 4, -1], [1, 3, 2]], "ids assumed to count from 1"),
    ],
)
def test_a_single_0_at_an_end_is_decided_by_the_gold_standard(knns, expected, note):
    ids, notes = aligned(table_of(knns, NEAR), GOLD)
    assert ids.tolist() == expected
    assert notes[0].startswith(note)
    assert notes[0].endswith("they agree with the gold standard that way")


def test_an_id_of_as_many_as_there_are_rows_counts_from_1():
    ids, notes = aligned(table_of([[6, 0, 3], [2, 4, 3]], NEAR), GOLD)
    assert ids.tolist() == [[5, -1, 2], [1, 3, 2]]
    assert notes == []


@pytest.mark.parametrize("first", [0, 1])
def test_a_file_that_says_where_it_counts_from_is_believed(first):
    ids, notes = aligned(table_of(TRUE[:, [0, 2, 2]] + first, first_id=first), GOLD)
    np.testing.assert_array_equal(ids, TRUE[:, [0, 2, 2]])
    assert notes == []


def large(rows=100_000, n=200, k=10):
    """Neighbours among many rows, without row 0 and the last."""
    return np.random.default_rng(1).integers(2, rows - 2, (n, k))


def test_ids_from_0_without_a_0_are_recognised_by_the_gold_standard_in_a_large_collection():
    ids = large()
    found, notes = aligned(table_of(ids), gold_of(ids, rows=100_000))
    np.testing.assert_array_equal(found, ids)
    assert "count from 0: they hold no 0" in notes[0]


def test_so_is_a_gold_standard_that_counts_from_0_without_a_0():
    ids = large()
    # The reader took its ids for ids from 1, and the result has those that count from 1.
    found, notes = aligned(table_of(ids + 1), gold_of(ids - 1))
    np.testing.assert_array_equal(found, ids - 1)
    assert "the gold standard assumed to count from 0" in notes[0]


def test_bad_results_are_not_taken_for_ids_from_0_by_chance():
    ids, random = large(), np.random.default_rng(5)
    found, notes = aligned(table_of(random.integers(1, 99_999, ids.shape)), gold_of(ids))
    assert notes == []
    assert found.min() >= 0


def test_minus_one_is_no_neighbour_whatever_ids_count_from():
    ids, _ = aligned(table_of([[2, 0, -1], [1, 3, -1]]), GOLD)
    assert ids.tolist() == [[2, 0, -1], [1, 3, -1]]
    ids, _ = aligned(table_of([[3, 1, -1], [2, 6, -1]]), GOLD)
    assert ids.tolist() == [[2, 0, -1], [1, 5, -1]]


def test_another_number_of_queries_is_refused():
    with pytest.raises(Mismatch, match=r"knns of shape \(5, 3\), gold\.h5 has 2 queries"):
        aligned(table_of(np.ones((5, 3))), GOLD)


def test_ids_that_are_no_rows_are_refused():
    with pytest.raises(DamagedFile, match=r"has the id 7 in knns, .* has 6 rows"):
        aligned(table_of([[7, 2, 3], [1, 2, 3]]), GOLD)


@pytest.mark.parametrize("value", [-2, -(2**31), 2**31 - 1, 2**32 - 1, 2**63 - 1])
def test_what_no_row_can_be_means_no_neighbour_and_is_said(value):
    ids, notes = aligned(table_of([[3, 1, value], [2, value, value]]), GOLD)
    assert ids.tolist() == [[2, 0, -1], [1, -1, -1]]
    assert notes == [f"{value:,} taken to mean no neighbour"]


@pytest.mark.parametrize("value", [6, 7, 999])
def test_a_number_beyond_all_rows_that_fills_the_ends_of_rows_means_no_neighbour(value):
    ids, notes = aligned(table_of([[2, 0, 4], [1, value, value]]), GOLD)
    assert ids.tolist() == [[2, 0, 4], [1, -1, -1]]
    assert notes[0] == f"{value} taken to mean no neighbour: it fills the ends of rows"


def test_no_neighbours_at_all_are_results_too():
    ids, _ = aligned(table_of(np.empty((2, 0))), GOLD)
    assert ids.shape == (2, 0)
