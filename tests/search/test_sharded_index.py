"""Shards with indexes keep the recall that they promise, and say what answered."""

import shutil

import numpy as np
import pytest

import pairdex
from conftest import laion_columns, save_part
from ivf_data import image_and_text_rows
from pairdex.derived.index import ivf_path
from pairdex.errors import InvalidArgument
from pairdex.graph_index.efforts import GraphCosts
from pairdex.ivf.costs import BatchCosts, Costs, ExactCost, IndexCost
from pairdex.search.searcher import Searcher

ROWS = (1500, 1200, 1800)
CHEAP, DEAR = IndexCost(1, 0, 0), ExactCost(1e9, 0, 0, 0, 0)
INDEX_FIRST = BatchCosts(1, CHEAP, CHEAP, DEAR, DEAR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a collection of three shards, each with an index of image vectors, and its source."""
    folder = tmp_path_factory.mktemp("indexed")
    for number, rows in enumerate(ROWS):
        images, texts = image_and_text_rows(rows, number)
        save_part(folder / "parts", number, images, texts, laion_columns(number, rows))
    pairdex.build(folder / "parts", folder / "c")
    pairdex.shard(folder / "c", 3, folder / "s")
    return folder


@pytest.fixture(scope="module")
def report(made):
    return pairdex.index(made / "s", recall=0.9)


@pytest.fixture
def opened(made, report, monkeypatch):
    """The sharded collection, in which an index is always expected to be fastest."""
    monkeypatch.setattr(Searcher, "costs", lambda *_: Costs("here", (INDEX_FIRST,), (INDEX_FIRST,)))
    return pairdex.open(made / "s")


def asked(kind, n=300):
    return image_and_text_rows(n, 99)[["image", "text"].index(kind)].astype(np.float32)


def test_the_report_has_sums_and_the_least_recall(made, report):
    shards = [pairdex.index(path, recall=0.9) for path in sorted((made / "s").glob("shards/*"))]
    assert [one.how for one in shards] == ["unchanged"] * 3
    assert (report.rows, report.how) == (4500, "built")
    assert report.bytes == sum(one.bytes for one in shards)
    assert report.efforts["image"].recall == min(one.efforts["image"].recall for one in shards)
    assert pairdex.index(made / "s", recall=0.9).how == "unchanged"
    assert not (made / "s/indexes").exists()


@pytest.mark.parametrize("kind", ["image", "text"])
@pytest.mark.parametrize(("k", "recall"), [(1, None), (10, None), (10, 0.8), (50, 0.8)])
def test_the_recall_of_the_merged_answer_is_at_least_the_promised(made, opened, kind, recall, k):
    queries = asked(kind)
    found = opened.nearest(queries, k, recall=recall)
    gold = pairdex.open(made / "c").nearest(queries, k, exact=True)
    assert found.report.answered.by == "ivf"
    assert not found.report.exact
    assert not found.report.certified
    assert pairdex.recall(found.ids, gold.ids) >= found.report.answered.promised - 0.01
    assert found.report.answered.promised <= found.report.recall
    same = found.ids == gold.ids
    np.testing.assert_array_equal(found.distances[same], gold.distances[same])


def test_an_exact_search_ignores_the_indexes(made, opened):
    queries = asked("image", 20)
    found = opened.nearest(queries, 10, exact=True)
    gold = pairdex.open(made / "c").nearest(queries, 10, exact=True)
    np.testing.assert_array_equal(found.ids, gold.ids)
    assert found.report.certified
    assert [one.because for one in found.report.answered.choices] == [
        "an exact search was asked for"
    ]


@pytest.mark.parametrize("where", ["id % 50 = 7", "id < 20", "id >= 1490 AND id < 1520"])
def test_filters_leave_k_rows_if_as_many_match(made, opened, where):
    queries = asked("text", 20)
    found = opened.nearest(queries, 15, where=where)
    gold = pairdex.open(made / "c").nearest(queries, 15, where=where, exact=True)
    assert (found.ids >= 0).all()
    assert pairdex.recall(found.ids, gold.ids) > 0.9


def test_shards_without_an_index_are_searched_exactly_beside_the_others(made, opened, tmp_path):
    second = made / "s/shards/00001"
    aside = ivf_path(second, "image").rename(tmp_path / "ivf")
    try:
        again = opened.reopened()
        assert again.finder.searcher.has_index("image")
        found = again.nearest(asked("image"), 10)
        gold = pairdex.open(made / "c").nearest(asked("image"), 10, exact=True)
        inside = (gold.ids >= 1500) & (gold.ids < 2700)
        missed = inside & ~(gold.ids[:, :, None] == found.ids[:, None, :]).any(axis=2)
        assert not missed.any()
        assert found.report.answered.by == "ivf"
        because = [one.because for one in found.report.answered.choices]
        assert any("no usable index" in one for one in because)
    finally:
        aside.rename(ivf_path(second, "image"))


def test_memory_is_divided_by_rows_and_a_collection_without_rows_is_refused(made, tmp_path):
    with pytest.raises(InvalidArgument, match="needs at least"):
        pairdex.index(made / "s", memory="1MB", on="text")
    save_part(tmp_path / "parts", 0, *image_and_text_rows(0, 0), laion_columns(0, 0))
    pairdex.build(tmp_path / "parts", tmp_path / "c")
    pairdex.shard(tmp_path / "c", 1, tmp_path / "s")
    with pytest.raises(InvalidArgument, match="s has no rows to index"):
        pairdex.index(tmp_path / "s")


@pytest.mark.usefixtures("report")
def test_a_joined_collection_keeps_its_index_and_its_graph(made, tmp_path):
    shard = shutil.copytree(made / "s/shards/00001", tmp_path / "c")
    pairdex.index(shard, recall=0.9, kind="graph")
    pairdex.join_shards([shard], tmp_path / "s")
    joined = tmp_path / "s/shards/00000"
    names = {path.name for path in (shard / "indexes/image").iterdir()}
    assert {"ivf", "ivf.json", "graph", "graph.json"} <= names
    assert {path.name for path in (joined / "indexes/image").iterdir()} == names
    again = pairdex.index(joined, recall=0.9, kind="graph")
    assert (again.how, again.graph.how) == ("unchanged", "unchanged")


@pytest.mark.usefixtures("report")
def test_each_shard_has_a_graph_of_its_own(made, tmp_path, monkeypatch):
    shutil.copytree(made / "s", tmp_path / "s")
    made_graphs = pairdex.index(tmp_path / "s", recall=0.9, kind="graph")
    assert made_graphs.graph.degree == 32
    assert len(list((tmp_path / "s").glob("shards/*/indexes/image/graph"))) == 3
    monkeypatch.setattr(GraphCosts, "of", lambda *_, **__: 1.0)
    queries = np.concatenate([asked("image", 20), asked("text", 10)])
    answered = pairdex.open(tmp_path / "s").nearest(queries, 10).report.answered
    assert answered.by == "graph"
    assert answered.counts(30)["graph"] == 20
    assert answered.of_query(5).by == "graph"
    assert answered.of_query(25).by != "graph"
