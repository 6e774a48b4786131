"""Each kind of query goes its own way; costs are kept with the index and measured for the machine."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import pairdex
from conftest import laion_columns, save_part
from ivf_data import image_and_text_rows
from pairdex.derived import index as indexing
from pairdex.derived.index import find_index, ivf_path
from pairdex.files.sealed_json import sealed
from pairdex.ivf.costs import BatchCosts, Costs, ExactCost, IndexCost, this_machine
from pairdex.search import searcher as searching
from pairdex.search.searcher import Searcher
from pairdex.store.store import Store

ROWS = 3000
CHEAP, DEAR = IndexCost(1, 0, 0), IndexCost(2e9, 0, 0)
EXACT, DEAR_EXACT = ExactCost(1e3, 0, 0, 0, 0), ExactCost(1e9, 0, 0, 0, 0)
INDEX_FIRST = BatchCosts(1, CHEAP, CHEAP, EXACT, DEAR_EXACT)
CODES_FIRST = BatchCosts(1, DEAR, DEAR, EXACT, DEAR_EXACT)
ROWS_FIRST = BatchCosts(1, DEAR, DEAR, DEAR_EXACT, EXACT)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planned")
    images, texts = image_and_text_rows(ROWS, 1)
    columns = laion_columns(0, ROWS)
    columns["place"] = np.arange(ROWS)
    save_part(folder / "parts", 0, images, texts, columns)
    pairdex.build(folder / "parts", folder / "c")
    pairdex.index(folder / "c", recall=0.8)
    return folder / "c"


@pytest.fixture
def indexed(made, tmp_path):
    shutil.copytree(made, tmp_path / "c")
    return tmp_path / "c"


@pytest.fixture
def opened(made):
    return pairdex.open(made)


def mixed():
    """Twenty images and twenty texts, in turns."""
    images, texts = image_and_text_rows(20, 99)
    return np.stack([images, texts], axis=1).reshape(40, -1).astype(np.float32)


def assume(monkeypatch, own, other):
    """Let queries like the rows and the others have these costs."""
    monkeypatch.setattr(Searcher, "costs", lambda *_: Costs("here", (own,), (other,)))


@pytest.mark.parametrize(
    ("own", "other", "by_index", "exactly"),
    [
        (INDEX_FIRST, CODES_FIRST, "own", range(1, 40, 2)),
        (CODES_FIRST, INDEX_FIRST, "other", range(0, 40, 2)),
        (INDEX_FIRST, ROWS_FIRST, "own", range(1, 40, 2)),
    ],
)
def test_a_mixed_batch_is_split_and_finds_what_each_query_finds_alone(
    opened, monkeypatch, own, other, by_index, exactly
):
    assume(monkeypatch, own, other)
    queries = mixed()
    found = opened.nearest(queries, 10)
    answered = found.report.answered
    assert (answered.by, answered.exactly) == ("ivf", tuple(exactly))
    assert [one.taken == "ivf" for one in answered.choices if one.kind == by_index] == [True]
    assert not found.report.exact
    for number, query in enumerate(queries):
        alone = opened.nearest(query[None], 10)
        np.testing.assert_array_equal(alone.ids[0], found.ids[number])
        np.testing.assert_array_equal(alone.distances[0], found.distances[number])
        assert alone.report.exact == (number in exactly)
        said = found.report.of_query(number)
        assert (said.exact, said.certified) == (alone.report.exact, alone.report.exact)
        assert (said.recall is None) == alone.report.exact
        assert said.answered.by == alone.report.answered.by
        assert [one.kind for one in said.answered.choices] == [
            "own" if number % 2 == 0 else "other"
        ]


def test_a_batch_of_exact_choices_is_exact_and_says_what_was_asked(opened, monkeypatch):
    assume(monkeypatch, CODES_FIRST, ROWS_FIRST)
    found = opened.nearest(mixed(), 10, recall=0.85)
    true = opened.nearest(mixed(), 10, exact=True)
    np.testing.assert_array_equal(found.ids, true.ids)
    assert found.report.exact
    assert (found.report.answered.by, found.report.answered.asked) == ("exact", 0.85)
    assert found.report.scanned == 20 * 3008  # only the images by codes; rows in groups of 32
    assert [one.taken for one in found.report.answered.choices] == ["codes", "rows"]


def test_every_way_can_search_nothing(opened):
    found = opened.nearest(np.empty((0, mixed().shape[1]), np.float32), 10)
    assert found.ids.shape == (0, 10)


def test_a_search_without_a_choice_says_why(opened, tmp_path):
    exact = opened.nearest(mixed(), 10, exact=True).report.answered.choices
    assert [(one.kind, one.taken, one.because) for one in exact] == [
        ("all", "codes", "an exact search was asked for")
    ]
    (choice,) = opened.nearest(mixed(), 10, on="text").report.answered.choices
    assert choice.ways[0].why_not.startswith("there is no usable index of text vectors")
    shutil.copytree(opened.path, tmp_path / "c")
    pairdex.project(tmp_path / "c", "pca8")
    (choice,) = pairdex.open(tmp_path / "c").nearest(mixed(), on="pca8").report.answered.choices
    assert (choice.taken, choice.because) == (
        "pca8",
        "a projection is searched by its own distance",
    )


def test_without_codes_the_choice_is_between_the_index_and_the_rows(made, monkeypatch):
    assume(monkeypatch, CODES_FIRST, CODES_FIRST)
    found = pairdex.open(made, use_codes=False).nearest(mixed(), 101)
    assert found.report.scanned == 0
    assert {one.taken for one in found.report.answered.choices} == {"rows"}
    assert found.report.answered.choices[0].ways[1].why_not == "codes are switched off"


def test_codes_that_cannot_be_written_are_decided_without(indexed, monkeypatch):
    assume(monkeypatch, CODES_FIRST, CODES_FIRST)
    (indexed / "indexes/image/codes").unlink(missing_ok=True)
    monkeypatch.setattr(searching, "open_or_build_codes", lambda *_, **__: None)
    (choice,) = pairdex.open(indexed).nearest(mixed()[:1], 10).report.answered.choices
    assert choice.taken == "rows"
    assert choice.ways[1].why_not == "codes cannot be written now"


def test_costs_are_kept_with_the_operating_points(made):
    costs = find_index(Store(made), "image")[1].costs
    assert costs.machine == this_machine()
    for batches in (costs.own, costs.other):
        assert [batch.queries for batch in batches] == [1, 16, 256]
        for batch in batches:
            assert batch.index.of(100, 10) > 0
            assert batch.codes.of(ROWS, None, 10) > 0
            assert batch.rows.of(ROWS, 10, 10) > 0


def test_an_index_without_costs_opens_and_is_timed_on_first_use(indexed):
    path = ivf_path(indexed, "image").with_name("ivf.json")
    content = json.loads(path.read_bytes())
    del content["costs"], content["checksum"]
    path.write_bytes(sealed(content))
    before = path.read_bytes()
    costs = pairdex.open(indexed).finder.searcher.costs("image")
    assert costs.machine == this_machine()
    assert len(costs.other) == 3
    assert path.read_bytes() == before  # a search writes nothing


def test_costs_of_another_machine_are_measured_again(indexed, monkeypatch):
    searcher = pairdex.open(indexed).finder.searcher
    kept = find_index(Store(indexed), "image")[1].costs
    assert searcher.costs("image") == kept
    for module in (searching, indexing):
        monkeypatch.setattr(module, "this_machine", lambda: "another")
    calls = []
    monkeypatch.setattr(
        searching, "costs_of", lambda *_, **__: calls.append(1) or replace(kept, machine="another")
    )
    searcher = pairdex.open(indexed).finder.searcher
    searcher.nearest("image", mixed(), 10, searching.SearchOptions())
    assert searcher.costs("image").machine == "another"
    assert calls == [1]
    monkeypatch.setattr(indexing, "costs_of", lambda *_, **__: replace(kept, machine="another"))
    assert pairdex.index(indexed, recall=0.8).how == "unchanged"
    assert find_index(Store(indexed), "image")[1].costs.machine == "another"


def test_search_explains_itself(made, run, tmp_path):
    said = json.loads(run("search", made, "--like", "3", "--explain", "--json").out)
    (choice,) = said["explain"]
    assert (choice["kind"], choice["queries"]) == ("own", 1)
    assert [way["name"] for way in choice["ways"]] == ["ivf", "codes", "rows"]
    assert choice["ways"][1]["recall"] == 1
    assert all(way["microseconds"] > 0 for way in choice["ways"] if way["why_not"] is None)
    assert "explain" not in json.loads(run("search", made, "--like", "3", "--json").out)
    np.save(tmp_path / "q.npy", mixed())
    out = run("search", made, "--vectors", tmp_path / "q.npy", "-k", "101", "--explain").out
    assert "20 queries like the rows: by " in out
    assert "20 queries like the other kind of vectors: by " in out
    assert "not possible: k is 101, and the index promises a recall for at most 100" in out
