"""Terms together: directions that are worked out by hand, and what is refused."""

import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument
from pairdex.search import MAX_TERMS, MAX_WEIGHT, UNLIKE_WEIGHT, Query, Term
from pairdex.search.combine import combine

X, Y, Z = np.eye(3)
SLANTED = np.array([0.6, 0.8, 0])


def test_plus_terms_are_added_by_their_weights():
    np.testing.assert_allclose(combine(np.stack([X, Y]), np.array([3, 4])), [0.6, 0.8, 0])


def test_of_a_minus_term_only_what_stands_aside_is_taken_away():
    # (0.6, 0.8) has 0.8 aside of X: X - 0.9375 * 0.8 Y = (1, -0.75), of length 1.25
    found = combine(np.stack([X, SLANTED]), np.array([1, -0.9375]))
    np.testing.assert_allclose(found, [0.8, -0.6, 0])


def test_every_minus_term_is_measured_against_the_sum_of_the_plus_terms():
    found = combine(np.stack([X, Y, Z, X]), np.array([1, 1, -1, -1]))
    # X + Y; Z stands aside whole; of X stands aside (X - Y) / 2
    expected = np.array([0.5, 1.5, -1])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected))


def test_only_the_proportions_of_weights_matter():
    vectors = np.stack([X, SLANTED, Z])
    weights = np.array([1, -0.5, 0.25])
    np.testing.assert_allclose(combine(vectors, weights), combine(vectors, weights * 37))


def test_plus_terms_that_cancel_each_other_out_are_refused():
    with pytest.raises(InvalidArgument, match=r"cancel each other out") as caught:
        combine(np.stack([X, -X]), np.array([2, 2]))
    assert caught.value.field == "terms"


@pytest.mark.parametrize("unwanted", [X, -X])
def test_a_minus_term_that_is_the_plus_term_is_refused(unwanted):
    with pytest.raises(InvalidArgument, match="asks for the same as the plus terms"):
        combine(np.stack([X, unwanted]), np.array([1, -0.5]))


@pytest.mark.parametrize("weight", [0, -0.0, np.nan, np.inf, -np.inf, MAX_WEIGHT * 1.01, 1e308])
def test_a_weight_that_weighs_nothing_or_all_is_refused(weight):
    with pytest.raises(InvalidArgument, match=r"the weight of a term is .*, expected a number"):
        Term(text="a", weight=weight)


@pytest.mark.parametrize(
    ("given", "got"), [({}, "none of them"), ({"text": "a", "like": 3}, "text and like")]
)
def test_a_term_is_exactly_one_thing(given, got):
    with pytest.raises(InvalidArgument, match=f"a term takes exactly one of .*, got {got}"):
        Term(**given)


@pytest.mark.parametrize("count", [0, MAX_TERMS + 1])
def test_the_number_of_terms_is_bounded(count):
    with pytest.raises(InvalidArgument, match=f"has {count} terms"):
        Query(terms=[Term(like=0)] * count)


def test_something_has_to_be_wanted():
    with pytest.raises(InvalidArgument, match="at least one has to say what is wanted"):
        Query(terms=[Term(text="red", weight=-1)])


def test_unlike_is_a_minus_term():
    assert Query(text="car", unlike="red").parts == (
        Term(text="car"),
        Term(text="red", weight=-UNLIKE_WEIGHT),
    )


def test_one_term_finds_what_the_same_query_finds(drawn):
    c = pairdex.open(drawn)
    same = c.search(terms=[Term(text="car", weight=7)], k=20).table
    assert same.equals(c.search("car", k=20, hybrid=False).table)
    assert c.search(terms=[Term(like=4)], k=20).table.equals(c.search(4, k=20).table)


def test_rows_that_terms_name_are_not_found_and_k_others_are(collection):
    c = pairdex.open(collection)
    terms = [Term(like=3), Term(like=40, weight=0.5), Term(like=9, weight=-0.25), Term(like=3)]
    found = c.search(terms=terms, k=57)["id"].to_pylist()
    assert sorted(found) == sorted(set(range(60)) - {3, 9, 40})
    page = c.search(terms=terms, k=10, offset=10)["id"].to_pylist()
    assert page == found[10:20]


def test_a_car_but_not_red_is_a_car_that_is_not_red(drawn):
    c = pairdex.open(drawn)
    plain = c.search(text="a car", k=8)["caption"].to_pylist()
    found = c.search(terms=[Term(text="a car"), Term(text="red", weight=-0.5)], k=8)
    captions = found["caption"].to_pylist()
    assert any("red car" in caption for caption in plain)
    assert sum("car" in caption for caption in captions) >= 6  # of 14 that are not red, among 300
    assert not any("red" in caption for caption in captions)
