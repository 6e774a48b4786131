"""Comparing ClickHouse with pairdex: recall by hand, the plan, and what is missing."""

import numpy as np
import pytest

import pairdex
from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.index import IndexSpec, build_indexes
from pairdex.clickhouse.load import load_collection
from pairdex.clickhouse.report import compare
from pairdex.errors import EngineFailed, InvalidArgument


@pytest.fixture(scope="module")
def place(drawn, clickhouse_url):
    place = Place(urls=(clickhouse_url,))
    load_collection(drawn, place, table="compared", dtype="bfloat16")
    spec = IndexSpec.parse("hnsw,cosineDistance,bf16,16,64")
    build_indexes(drawn, place, spec, table="compared")
    return place


def test_all_ways_are_measured_on_the_same_queries(drawn, place, run):
    options = ("--url", place.urls[0], "--table", "compared", "-n", "20", "-k", "5")
    report = run("clickhouse", "report", drawn, *options, "--json").json
    assert (report["rows"], report["queries"], report["k"]) == (300, 20, 5)
    brute, index, own = report["runs"]
    assert [way["name"] for way in report["runs"]] == [
        "ClickHouse brute force",
        "ClickHouse index",
        "pairdex",
    ]
    assert own["recall"] == 1.0
    assert brute["recall"] > 0.9  # the table has vectors of 8 bits' precision
    assert index["recall"] > 0.9
    assert brute["bytes"] == 300 * 64 * 2
    assert index["bytes"] > 0
    assert own["bytes"] > 300 * 64 * 2
    for way in report["runs"]:
        assert 0 < way["p50_seconds"] <= way["p95_seconds"]
    assert any("vector_similarity" in line for line in report["plan"])


def test_the_table_for_people_shows_the_plan_without_the_vectors(drawn, place, run, tmp_path):
    np.save(tmp_path / "q.npy", np.eye(3, 64, dtype=np.float32))
    options = ("--url", place.urls[0], "--table", "compared", "--queries", tmp_path / "q.npy")
    shown = run("clickhouse", "report", drawn, *options).out
    assert "3 queries over 300 rows" in shown
    assert "Name: image_index" in shown
    assert max(map(len, shown.splitlines())) < 200


def test_a_row_that_is_not_among_the_nearest_lowers_the_recall(drawn, place, monkeypatch):
    from pairdex.clickhouse.search import Searcher

    found = Searcher.nearest

    def worse(self, vector, k, **options):
        if options.get("exact"):
            return found(self, vector, k, **options)
        return [*found(self, vector, k)[:-1], found(self, -vector, 1)[0]]

    monkeypatch.setattr(Searcher, "nearest", worse)
    queries = pairdex.open(drawn).vectors("image")[:4].astype(np.float32)
    report = compare(pairdex.open(drawn), place, table="compared", queries=queries, k=4)
    assert report.runs[1].recall == 0.75


def test_a_table_without_an_index_is_not_compared(drawn, clickhouse_url):
    place = Place(urls=(clickhouse_url,))
    load_collection(drawn, place, table="bare")
    with pytest.raises(EngineFailed, match="has no index of bare that it uses for k = 10"):
        compare(pairdex.open(drawn), place, table="bare")
    with pytest.raises(InvalidArgument, match="there are 0 queries"):
        compare(pairdex.open(drawn), place, table="bare", queries=0)
