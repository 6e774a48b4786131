"""Terms on the command line: a text with its weight before it."""

from pathlib import Path

import pytest

from pairdex.cli.terms import query_of, read_term
from pairdex.errors import InvalidArgument
from pairdex.search import Term


@pytest.mark.parametrize(
    ("written", "text", "weight"),
    [
        ("red", "red", 1),
        ("+2 at night", "at night", 2),
        ("-0.5 red", "red", -0.5),
        ("- red", "red", -1),
        ("+ red car", "red car", 1),
        ("-.25 red", "red", -0.25),
        ("-red", "-red", 1),
        ("2 cars", "2 cars", 1),
    ],
)
def test_a_term_is_a_text_and_the_weight_before_it(written, text, weight):
    assert read_term(written) == Term(text=text, weight=weight)


@pytest.mark.parametrize("written", ["-. red", "-0 red", "+0.0 red", "+9999 red"])
def test_a_weight_that_is_none_is_told(written):
    with pytest.raises(InvalidArgument, match="weight"):
        read_term(written)


def test_beside_terms_what_is_searched_for_is_one_more_term():
    query = query_of("car", None, None, "boat", ["-0.5 red"])
    assert query.terms == [Term(text="car"), Term(text="red", weight=-0.5)]
    assert query.unlike == "boat"
    assert query_of(None, Path("a.png"), None, None, ["red"]).terms[0].image == Path("a.png")
    assert query_of("car", None, None, None, None).text == "car"


def test_two_subjects_beside_terms_are_told():
    with pytest.raises(InvalidArgument, match="takes exactly one of"):
        query_of("car", None, 3, None, ["red"])


def test_the_command_searches_for_terms(drawn, run):
    found = run("search", drawn, "--text", "car", "--term", "-0.5 red", "-k", 3, "--json").json
    captions = [hit["caption"] for hit in found["hits"]]
    assert all("car" in caption and "red" not in caption for caption in captions)


def test_terms_and_files_of_vectors_do_not_go_together(collection, run, tmp_path):
    out = run("search", collection, "--vectors", tmp_path / "q.npy", "--term", "red")
    assert (
        "either --vectors or --text, --image, --like, --unlike, --term, --keywords, --no-keywords, "
        "--sort, --fold"
    ) in out.complaint
