"""Facets: what the columns hold, counted by hand."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

import pairdex
from pairdex.errors import InvalidPredicate
from pairdex.search import count_facets
from pairdex.search.facets import BINS, QUANTILES
from pairdex.service.app import make_app
from pairdex.store.store import Store

COLUMNS = {
    "colour": ["red", "blue", "red", None, "green", "blue", "red", "red"],
    "flag": [True, False, None, True, True, True, True, True],
    "width": pa.array([1, 2, 3, 4, 5, 6, 7, None], pa.int32()),
    "score": [0.5, float("nan"), float("inf"), None, -1.0, 2.0, 0.0, 1.0],
    "taken": pa.array(
        [datetime(2020, 1, day) for day in (5, 3, 9, 4, 4, 4, 4)] + [None], pa.timestamp("ns")
    ),
    "tags": pa.array([["a"], None, [], [], [], [], [], []]),
    "nothing": pa.nulls(8, pa.string()),
}


@pytest.fixture
def made(make_parts, build, tmp_path):
    build(make_parts(8, columns=COLUMNS), tmp_path / "c")
    return tmp_path / "c"


def by_name(found):
    return {column.name: column for column in found.columns}


def test_texts_are_counted_most_first_equal_counts_by_value(made):
    colour = by_name(count_facets(Store(made)))["colour"]
    assert colour.values == [("red", 4), ("blue", 2), ("green", 1)]
    assert (colour.nulls, colour.distinct, colour.type) == (1, 3, "string")


def test_numbers_have_their_ends_and_quantiles_without_what_is_not_finite(made):
    found = by_name(count_facets(Store(made)))
    width, score = found["width"], found["score"]
    assert (width.least, width.most, width.nulls) == (1, 7, 1)
    assert width.quantiles == [1, 2, 4, 6, 7]
    assert (score.least, score.most, score.nulls) == (-1.0, 2.0, 3)


def test_numbers_and_times_have_their_rows_in_equal_intervals(made):
    found = by_name(count_facets(Store(made)))
    width, taken = found["width"].histogram, found["taken"].histogram
    assert len(width) == len(taken) == 24
    assert [place for place, rows in enumerate(width) if rows] == [0, 4, 8, 12, 16, 20, 23]
    assert (taken[0], taken[4], taken[8], taken[23]) == (
        1,
        4,
        1,
        1,
    )  # 3rd, 4th, 5th, 9th of January
    assert found["colour"].histogram is None


def test_times_have_their_ends_and_other_types_their_nulls(made):
    found = by_name(count_facets(Store(made)))
    assert found["taken"].least.startswith("2020-01-03")
    assert found["taken"].most.startswith("2020-01-09")
    assert found["flag"].values == [(True, 6), (False, 1)]
    assert (found["tags"].nulls, found["tags"].values) == (1, None)
    assert (found["nothing"].nulls, found["nothing"].values) == (8, [])


def test_a_filter_and_removals_leave_rows_out(made, run):
    store = Store(made)
    assert by_name(count_facets(store, "width <= 3"))["colour"].values == [("red", 2), ("blue", 1)]
    assert run("remove", made, "--where", "id = 0", "--reason", "test").status == 0
    found = count_facets(store, "width <= 3")
    assert (found.rows, found.counted) == (2, 2)
    assert by_name(found)["colour"].values == [("blue", 1), ("red", 1)]


def test_a_collection_shows_removals_at_once_and_keeps_what_it_counted(made, run):
    c = pairdex.open(made)
    assert c.facets() is c.facets()
    assert c.facets().rows == 8
    run("remove", made, "--where", "id = 0", "--reason", "test")
    assert c.facets().rows == 7


def test_columns_of_many_texts_are_no_choice(make_parts, build, tmp_path, monkeypatch):
    monkeypatch.setattr("pairdex.search.facets.MAX_DISTINCT", 5)
    build(make_parts(4, 4), tmp_path / "c")
    found = by_name(count_facets(Store(tmp_path / "c")))
    assert (found["caption"].values, found["caption"].distinct) == (None, None)
    assert found["nsfw"].values[0] == ("NSFW", 2)


def test_of_more_rows_than_are_looked_at_an_even_sample_is(
    make_parts, build, tmp_path, monkeypatch
):
    monkeypatch.setattr("pairdex.search.facets.MAX_ROWS", 30)
    build(make_parts(20, 20, 20, 20), tmp_path / "c")
    found = count_facets(Store(tmp_path / "c"))
    assert (found.rows, found.counted) == (80, 40)


def test_rest_answers_them_with_safe_mode_on(collection):
    client = TestClient(make_app([pairdex.open(collection)]), base_url="http://localhost")
    answer = client.post("/api/facets", json={"where": "width < 110"}).json()
    assert (answer["safe"], answer["rows"]) == (True, 9)
    nsfw = next(each for each in answer["columns"] if each["name"] == "nsfw")
    assert nsfw["values"] == [{"value": "UNLIKELY", "count": 9}]
    everything = client.post("/api/facets", json={"safe": False}).json()
    assert everything["rows"] == 60


def test_a_wrong_filter_is_told(made):
    client = TestClient(make_app([pairdex.open(made)]), base_url="http://localhost")
    for where in ("nosuch = 1", "1=1; DROP TABLE x", "1=1) OR (1=1", "width IN (SELECT 1)"):
        response = client.post("/api/facets", json={"where": where})
        assert response.status_code == 422
        assert response.json()["error"]["field"] == "where"
    with pytest.raises(InvalidPredicate):
        count_facets(Store(made), "nosuch = 1")


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]
)
def test_quantiles_and_intervals_are_those_of_numpy(make_parts, build, tmp_path, kind):
    least = {"int8": -128, "int32": -9, "uint64": 2**63 - 5}.get(kind, 0)
    steps = np.random.default_rng(5).integers(0, 200, 700)
    numbers = np.array([least + int(step) for step in steps], kind)
    build(make_parts(700, columns=lambda *_: {"n": numbers}), tmp_path / "c")
    facet = by_name(pairdex.open(tmp_path / "c").facets())["n"]
    marks = np.quantile(numbers, (0, *QUANTILES, 1), method="inverted_cdf").tolist()
    assert [facet.least, *facet.quantiles, facet.most] == marks
    above = steps - steps.min()
    assert facet.histogram == np.histogram(above, BINS, (0, above.max()))[0].tolist()
