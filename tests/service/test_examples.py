"""Example queries: short captions of the collection's own rows, and nothing that is not shown."""

import pytest

import pairdex
from pairdex.service.catalogue import ServedCollection
from pairdex.service.examples import MAX_EXAMPLES, example_queries


@pytest.fixture
def captioned(make_parts, build, tmp_path):
    """A function that builds a collection with these captions, and further columns."""

    def make(captions, **columns):
        rows = len(captions)
        build(make_parts(rows, columns={"caption": captions, **columns}), tmp_path / "c")
        return pairdex.open(tmp_path / "c")

    return make


def test_examples_are_short_captions_evenly_chosen(captioned):
    words = [
        f"{first} {second}"
        for first in ("red", "old", "big")
        for second in ("cat", "car", "sun", "cup")
    ]
    captions = [
        *words,
        "IMG_0001.jpg 12",
        "a long caption of more than sixty characters that no page can show",
    ]
    c = captioned([*captions, *["red cat"] * 5, None, ""])
    found = example_queries(c)
    assert len(found) == MAX_EXAMPLES
    assert set(found) <= set(words)
    assert found == example_queries(c)


def test_longer_captions_serve_where_short_ones_are_missing(captioned):
    assert example_queries(captioned(["a small red car on the wet grass, 1999"])) == [
        "a small red car on the wet grass, 1999"
    ]


def test_markup_and_control_characters_are_no_examples(captioned):
    hostile = ["<script>alert(1)</script>", "cat\x1b[31m", "\u202ecat", "a & b", "=cmd()"]
    assert example_queries(captioned(hostile)) == []


def test_only_safe_rows_give_examples_where_that_is_known(captioned):
    c = captioned(["nice cat", "bad thing", "odd thing"], nsfw=["UNLIKELY", "NSFW", None])
    assert example_queries(c) == ["nice cat"]


def test_the_captions_of_removed_rows_disappear(captioned, run):
    c = captioned(["nice cat", "lost dog"])
    served = ServedCollection.of("c", c)
    assert served.examples == ["nice cat", "lost dog"]
    assert run("remove", c.path, "--where", "id = 1", "--reason", "test").status == 0
    assert served.examples == ["nice cat"]


def test_a_collection_without_captions_or_rows_has_no_examples(make_parts, build, tmp_path):
    build(make_parts(3, columns={"width": [1, 2, 3]}), tmp_path / "plain")
    assert example_queries(pairdex.open(tmp_path / "plain")) == []
    build(make_parts(3, folder="other"), tmp_path / "empty", where="false")
    assert example_queries(pairdex.open(tmp_path / "empty")) == []
