"""The graph of a collection answers queries like its rows, and leaves the others to lists and exact search."""

import logging
import shutil

import numpy as np
import pytest

import pairdex
from conftest import laion_columns, save_part
from ivf_data import image_and_text_rows
from pairdex.derived.graph import find_graph, graph_path
from pairdex.errors import InvalidArgument
from pairdex.ivf.efforts import points_path
from pairdex.store.store import Store

ROWS = 4000
NEARLY = 0.015  # the sampling error of recalls measured with a few hundred queries


def held_out(kind):
    images, texts = image_and_text_rows(200, 99)
    return (images if kind == "image" else texts).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Parts 0 and 1, and a collection of part 0 with a graph of its images."""
    folder = tmp_path_factory.mktemp("graph")
    for number in range(2):
        columns = laion_columns(number, ROWS)
        columns["chance"] = np.random.default_rng(number).permutation(ROWS)
        save_part(folder / "parts", number, *image_and_text_rows(ROWS, number + 1), columns)
    pairdex.build(folder / "parts", folder / "c", parts={0})
    pairdex.index(folder / "c", kind="graph")
    return folder


@pytest.fixture
def indexed(made, tmp_path):
    """A copy of the collection to change."""
    shutil.copytree(made / "c", tmp_path / "c")
    return tmp_path / "c"


@pytest.fixture
def walks(monkeypatch):
    """Let a walk seem cheap: which way is faster must not decide a test."""
    monkeypatch.setattr("pairdex.graph_index.efforts.GraphCosts.of", lambda *_, **__: 1.0)


def recall(collection, queries, k=10, **how):
    opened = pairdex.open(collection)
    found = opened.nearest(queries, k, **how)
    how.pop("recall", None)
    true = opened.nearest(queries, k, exact=True, **how)
    share = float((found.distances <= true.distances[:, -1:] + 1e-9).mean())
    return share, found.report


@pytest.mark.usefixtures("walks")
@pytest.mark.parametrize("wanted", [0.9, 0.95])
def test_the_graph_answers_images_with_the_recall_that_was_asked_for(made, wanted):
    share, report = recall(made / "c", held_out("image"), recall=wanted)
    assert report.answered.by == "graph"
    assert not report.exact
    assert report.answered.params.startswith("visits=")
    assert share >= wanted - NEARLY


@pytest.mark.usefixtures("walks")
def test_texts_of_the_same_batch_go_elsewhere(made):
    queries = np.concatenate([held_out("image")[:30], held_out("text")[:20]])
    found = pairdex.open(made / "c").nearest(queries, 10, recall=0.9)
    answered = found.report.answered
    assert [choice.taken == "graph" for choice in answered.choices] == [True, False]
    assert answered.counts(50)["graph"] == 30
    assert answered.of_query(0).by == "graph"
    assert answered.of_query(40).by != "graph"
    walk = next(way for way in answered.choices[1].ways if way.name == "graph")
    assert walk.why_not == "it serves queries that are like the rows"


@pytest.mark.usefixtures("walks")
def test_a_filter_gets_k_rows_with_the_recall(made):
    share, report = recall(made / "c", held_out("image"), where="chance < 800", recall=0.9)
    assert report.answered.by == "graph"
    assert share >= 0.9 - NEARLY


@pytest.mark.usefixtures("walks")
def test_a_selective_filter_is_not_walked(made):
    found = pairdex.open(made / "c").nearest(held_out("image"), 10, where="chance < 12")
    assert found.report.answered.by != "graph"
    assert (found.ids >= 0).all()


@pytest.mark.usefixtures("walks")
def test_removed_rows_are_walked_through_but_not_returned(indexed):
    query = held_out("image")[:1]
    first = pairdex.open(indexed).nearest(query, 10, recall=0.9)
    pairdex.remove(indexed, ids=first.ids[0, :5], reason="asked")
    after = pairdex.open(indexed).nearest(query, 10, recall=0.9)
    assert after.report.answered.by == "graph"
    assert not np.isin(after.ids, first.ids[0, :5]).any()
    assert (after.ids >= 0).all()


def test_costs_decide_and_explain_names_the_graph(made):
    found = pairdex.open(made / "c").nearest(held_out("image"), 10)
    ways = {way.name: way for way in found.report.answered.choices[0].ways}
    assert set(ways) == {"graph", "ivf", "codes", "rows"}
    times = {name: way.microseconds for name, way in ways.items() if way.why_not is None}
    assert found.report.answered.choices[0].taken == min(times, key=times.get)
    assert ways["graph"].recall >= 0.95


def test_the_same_call_again_changes_nothing(indexed):
    before = graph_path(indexed, "image").read_bytes()
    report = pairdex.index(indexed, kind="graph")
    assert report.graph.how == "unchanged"
    assert graph_path(indexed, "image").read_bytes() == before


@pytest.mark.usefixtures("walks")
def test_new_parts_are_inserted_and_the_promise_holds(made, indexed, caplog, run):
    before = pairdex.index(indexed, kind="graph").graph.rebuild
    pairdex.build(made / "parts", indexed, parts={0, 1})
    with caplog.at_level(logging.WARNING):
        assert find_graph(Store(indexed), "image") is None
    assert "pairdex index --kind graph" in caplog.text
    report = pairdex.index(indexed, kind="graph")
    assert (report.graph.how, report.rows, before) == ("extended", 2 * ROWS, False)
    share, found = recall(indexed, held_out("image"), recall=0.95)
    assert found.answered.by == "graph"
    assert share >= 0.95 - NEARLY
    # Half of the rows were inserted.
    assert report.graph.rebuild
    graph = next(one for one in pairdex.info(indexed).derived if one.kind == "graph")
    assert (graph.details["inserted"], graph.details["rebuild"]) == (ROWS, True)
    assert "delete indexes/image/graph" in run("info", indexed).out
    assert "delete indexes/image/graph" in run("index", indexed, "--kind", "graph").out


def test_a_build_leaves_removed_rows_out_and_says_when_it_is_time_for_one(indexed, caplog):
    removed = np.arange(0, ROWS, 3)
    pairdex.remove(indexed, ids=removed, reason="asked")
    assert pairdex.index(indexed, kind="graph").graph.rebuild
    graph_path(indexed, "image").unlink()
    report = pairdex.index(indexed, kind="graph").graph
    assert (report.how, report.rebuild) == ("built", False)
    file = find_graph(Store(indexed), "image")[0].file
    assert np.array_equal(file.section("left_out"), removed)
    assert file.header.nodes <= ROWS - len(removed)
    (indexed / "removed.arrow").unlink()  # the rows are back
    with caplog.at_level(logging.WARNING):
        assert find_graph(Store(indexed), "image") is None
    assert "lacks rows that had been removed" in caplog.text
    assert pairdex.index(indexed, kind="graph").graph.how == "built"


def test_a_damaged_graph_is_not_used_and_verify_names_it(indexed, caplog):
    path = graph_path(indexed, "image")
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    assert [damage.file for damage in pairdex.verify(indexed).damaged] == ["indexes/image/graph"]
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        found = pairdex.open(indexed).nearest(held_out("image"), 10)
    assert "searching without the graph" in caplog.text
    assert "graph" not in {way.name for way in found.report.answered.choices[0].ways}


def test_operating_points_of_another_graph_are_refused(made, indexed, caplog):
    pairdex.index(indexed, kind="graph", size="compact")
    points = points_path(graph_path(indexed, "image"))
    shutil.copy(points_path(graph_path(made / "c", "image")), points)
    with caplog.at_level(logging.WARNING):
        assert find_graph(Store(indexed), "image") is None
    assert "belongs to another graph" in caplog.text


def test_info_lists_the_graph(made):
    graph = next(one for one in pairdex.info(made / "c").derived if one.kind == "graph")
    assert (graph.title, graph.current, graph.details["degree"]) == (
        "graph of image vectors",
        True,
        32,
    )


def test_lists_are_the_default_and_auto_takes_what_memory_holds(made, tmp_path):
    pairdex.build(made / "parts", tmp_path / "c", parts={0})
    assert pairdex.index(tmp_path / "c").graph is None
    assert pairdex.index(tmp_path / "c", kind="auto", memory="103MB").graph is None
    report = pairdex.index(tmp_path / "c", kind="auto")
    assert report.graph.degree == 32
    assert report.graph.effort.promised >= 0.95
    assert pairdex.index(tmp_path / "c", on="text", kind="auto").graph is None


def test_too_little_memory_for_a_graph_says_how_much_it_needs(made):
    with pytest.raises(InvalidArgument, match=r"need at least [0-9,]+ bytes .* --kind lists"):
        pairdex.index(made / "c", kind="graph", memory="50MB")


def test_an_unknown_kind_is_refused(made):
    with pytest.raises(InvalidArgument, match="expected one of lists, graph, auto"):
        pairdex.index(made / "c", kind="tree")


def test_the_command_says_which_kind_it_made(indexed, run):
    said = run("index", indexed, "--kind", "graph", "--json").json
    assert said["kind"] == "graph"
    assert said["graph"]["degree"] == 32
    assert "32 neighbours" in run("index", indexed, "--kind", "graph").out
