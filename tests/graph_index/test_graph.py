"""Graphs find the nearest rows, of any dimension and number, and are the same whatever built them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ivf_data import DIM, image_and_text_rows
from pairdex import _native
from pairdex.errors import DamagedFile, InvalidArgument, MissingFile, UnsupportedFormat
from pairdex.graph_index import build as building
from pairdex.graph_index.assembly import Indexed
from pairdex.graph_index.build import BUILDING, build
from pairdex.graph_index.efforts import GraphEffort
from pairdex.graph_index.file import NO_NODE, GraphFile, Writer, node_bytes
from pairdex.graph_index.parameters import Parameters, choose
from pairdex.graph_index.search import WalkedGraph
from pairdex.graph_index.tune import VISITS, held_out_count, measure_costs, measure_efforts
from pairdex.ivf.tune import find_truth
from pairdex.knn import cosine
from places import DATA

ROWS = 4000
EPSILON = 1e-9


def made_rows(rows, dim, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, dim))
    x = centres[rng.integers(0, 20, rows)] + 0.5 * rng.standard_normal((rows, dim))
    return x.astype(np.float16)


def open_built(path, blocks, *, size="fast", threads=2):
    rows = sum(map(len, blocks))
    parts = [str(number) for number in range(len(blocks))]
    parameters = choose(rows, blocks[0].shape[1], size=size)
    assert build(Indexed(blocks, parts), path, parameters, threads=threads)
    return WalkedGraph(GraphFile(path), blocks)


def recall(graph, blocks, queries, k, visits, **options):
    found = graph.search(queries, k, GraphEffort(visits), **options)
    truth = cosine.nearest(blocks, queries, k, allowed=options.get("allowed"), codes=None)
    return float((found.distances <= truth.distances[:, -1:] + EPSILON).mean())


@pytest.fixture(scope="module")
def blocks():
    images, _ = image_and_text_rows(ROWS, 1)
    images[500:600] = images[500]  # more equal rows than a node has neighbours
    return [images[:1500], images[1500:]]


@pytest.fixture(scope="module")
def queries():
    return image_and_text_rows(200, 99)[0].astype(np.float32)


@pytest.fixture(scope="module")
def graph(blocks, tmp_path_factory):
    return open_built(tmp_path_factory.mktemp("graph") / "graph", blocks)


@pytest.mark.parametrize(("visits", "floor"), [(16, 0.94), (32, 0.985)])
def test_walks_reach_the_recall_that_they_should(graph, blocks, queries, visits, floor):
    assert recall(graph, blocks, queries, 10, visits) >= floor


def test_a_compact_graph_is_smaller_and_reaches_nearly_as_much(graph, blocks, queries, tmp_path):
    compact = open_built(tmp_path / "graph", blocks, size="compact")
    assert compact.file.path.stat().st_size < 0.7 * graph.file.path.stat().st_size
    assert recall(compact, blocks, queries, 10, 32) >= 0.96


@pytest.mark.skipif(not (DATA / "clip_b32_images.npy").exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", ["clip_b32_images", "cnclip_b16_images"])
def test_walks_reach_a_recall_on_real_vectors(name, tmp_path):
    vectors = np.load(DATA / f"{name}.npy", mmap_mode="r")[:4200].astype(np.float16)
    held_out = vectors[::21].astype(np.float32)
    rows = [np.ascontiguousarray(vectors[np.arange(len(vectors)) % 21 != 0])]
    assert recall(open_built(tmp_path / "graph", rows), rows, held_out, 10, 32) >= 0.96


@pytest.mark.parametrize(
    ("rows", "dim"), [(1, 64), (2, 100), (33, 70), (700, 16), (700, 192), (400, 768)]
)
def test_a_graph_takes_any_number_of_rows_of_any_dimension(rows, dim, tmp_path):
    vectors = made_rows(rows, dim)
    k = min(5, rows)
    graph = open_built(tmp_path / "graph", [vectors])
    assert recall(graph, [vectors], vectors[:50].astype(np.float32), k, 48) >= 0.97


def test_too_many_dimensions_are_refused_with_a_way_out():
    with pytest.raises(InvalidArgument, match="--kind lists"):
        choose(10, 4096)


def test_all_of_many_equal_rows_are_found_in_the_order_of_their_ids(graph, blocks):
    query = blocks[0][500:501].astype(np.float32)
    found = graph.search(query, 60, GraphEffort(64))
    assert found.ids[0].tolist() == list(range(500, 560))


def test_a_cluster_of_rows_that_codes_cannot_tell_apart_can_be_reached_and_left(tmp_path):
    rng = np.random.default_rng(3)
    rows = made_rows(1500, 128)
    rows[300:600] = rows[300] + 0.002 * rng.standard_normal((300, 128)).astype(np.float16)
    graph = open_built(tmp_path / "graph", [rows])
    inside, outside = (rows[some].astype(np.float32) for some in (slice(300, 340), slice(0, 40)))
    assert (graph.search(inside, 10, GraphEffort(32)).distances < 1e-5).all()
    found = graph.search(inside[:1], 300, GraphEffort(400))
    assert np.count_nonzero((found.ids >= 300) & (found.ids < 600)) >= 297
    assert recall(graph, [rows], outside, 10, 64) >= 0.97


def test_rows_without_a_direction_are_never_found(tmp_path):
    rows = made_rows(400, 64)
    rows[7], rows[9, 3] = 0, np.nan
    graph = open_built(tmp_path / "graph", [rows])
    found = graph.search(rows[:5].astype(np.float32), 390, GraphEffort(400))
    assert not np.isin([7, 9], found.ids).any()


def test_rows_without_any_direction_have_no_graph(tmp_path):
    rows = Indexed([np.zeros((5, 64), np.float16)], ["a"])
    assert not build(rows, tmp_path / "graph", choose(5, 64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_a_filter_keeps_the_recall_and_lets_only_allowed_rows_through(
    graph, blocks, queries, share
):
    allowed = np.random.default_rng(1).random(ROWS) < share
    found = graph.search(queries, 10, GraphEffort(32), allowed=allowed)
    assert allowed[found.ids].all()
    assert recall(graph, blocks, queries, 10, 32, allowed=allowed) >= 0.95


def test_of_equal_rows_only_the_allowed_ones_are_found(graph, blocks):
    allowed = np.zeros(ROWS, np.bool_)
    allowed[[530, 540, 550]] = True
    found = graph.search(blocks[0][500:501].astype(np.float32), 5, GraphEffort(16), allowed=allowed)
    assert found.ids[0].tolist() == [530, 540, 550, -1, -1]


def test_an_answer_depends_on_the_query_alone(graph, queries):
    whole = graph.search(queries, 10, GraphEffort(20), threads=2)
    one = [graph.search(query[None], 10, GraphEffort(20), threads=1) for query in queries[:40]]
    assert np.array_equal(whole.ids[:40], np.concatenate([found.ids for found in one]))


def test_every_kernel_walks_the_same_way(graph, queries):
    answers = [
        graph.search(queries, 10, GraphEffort(20), kernel=name) for name in _native.kernels()
    ]
    for answer in answers[1:]:
        assert np.array_equal(answer.ids, answers[0].ids)
        assert np.array_equal(answer.distances, answers[0].distances)


def test_nodes_that_are_taken_away_are_not_found_and_the_file_stays(graph, blocks, queries):
    before = graph.file.path.read_bytes()
    gone = np.arange(0, ROWS, 10)
    nodes = graph.nodes_of(gone)
    without = graph.without(nodes[nodes != NO_NODE])
    rest = np.ones(ROWS, np.bool_)
    rest[gone[nodes != NO_NODE]] = False
    found = without.search(queries, 10, GraphEffort(32))
    assert rest[found.ids].all()
    truth = cosine.nearest(blocks, queries, 10, allowed=rest, codes=None)
    assert (found.distances <= truth.distances[:, -1:] + EPSILON).mean() >= 0.985
    assert graph.file.path.read_bytes() == before


def test_the_file_is_the_same_whatever_the_threads(graph, blocks, tmp_path):
    open_built(tmp_path / "graph", blocks, threads=1)
    assert (tmp_path / "graph").read_bytes() == graph.file.path.read_bytes()


def test_an_interrupted_build_resumes_after_its_last_step(graph, blocks, tmp_path, monkeypatch):
    path, whole = tmp_path / "graph", building.Edges.by_walks

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(building.Edges, "by_walks", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_built(path, blocks)
    monkeypatch.setattr(building.Edges, "by_walks", whole)
    monkeypatch.setattr(building, "find_near", interrupt)  # is not done again
    open_built(path, blocks)
    assert path.read_bytes() == graph.file.path.read_bytes()
    assert not path.with_name(f"graph{BUILDING}").exists()


def measured(graph, blocks):
    """The efforts that rows promise whose nodes are taken away."""
    own = np.random.default_rng(4).choice(ROWS, held_out_count(ROWS), replace=False)
    nodes = graph.nodes_of(own)
    rest = np.ones(ROWS, np.bool_)
    rest[own[nodes != NO_NODE]] = False
    rows = np.concatenate(blocks)[own].astype(np.float32)
    truth = find_truth(blocks, rows, own, codes=None, allowed=rest)
    return measure_efforts(graph.without(nodes[nodes != NO_NODE]), truth)[10]


def test_a_promise_holds_for_queries_that_are_not_in_the_graph(graph, blocks, queries):
    efforts = measured(graph, blocks)
    chosen = next(effort for effort in efforts if effort.promised >= 0.95)
    sampling = 0.01
    assert recall(graph, blocks, queries, 10, chosen.visits) >= chosen.promised - sampling
    assert [effort.visits for effort in efforts] == sorted(e.visits for e in efforts)


def test_a_high_promise_takes_hardly_more_visits_than_held_out_queries_need(graph, blocks, queries):
    visits = next(effort.visits for effort in measured(graph, blocks) if effort.promised >= 0.99)
    needed = next(many for many in VISITS if recall(graph, blocks, queries, 10, many) >= 0.99)
    assert visits <= 1.7 * needed


def test_costs_grow_with_visits_and_are_measured_for_three_sizes_of_batches(graph, queries):
    costs = measure_costs(graph, queries, rounds=1)
    assert [batch.queries for batch in costs.batches] == [1, 16, 256]
    few, many = (costs.of(100, visits, is_filtered=False) for visits in (10, 1000))
    assert few <= many


def test_a_missing_or_foreign_file_is_said_to_be_so(tmp_path):
    with pytest.raises(MissingFile, match="pairdex index"):
        GraphFile(tmp_path / "graph")
    (tmp_path / "graph").write_bytes(b"PDXLISTS" + bytes(100))
    with pytest.raises(UnsupportedFormat, match="not an index"):
        GraphFile(tmp_path / "graph")


def test_a_changed_byte_is_found_by_verifying(graph, tmp_path):
    data = bytearray(graph.file.path.read_bytes())
    data[-1] ^= 1
    (tmp_path / "graph").write_bytes(data)
    with pytest.raises(DamagedFile, match="nodes"):
        GraphFile(tmp_path / "graph").verify()


def forged(graph, path, facts, sections):
    """Write the file with other facts or sections, and checksums that fit."""
    header = graph.file.header
    new = replace(header, **facts, checksums={})
    with path.open("wb") as file:
        writer = Writer(file, new)
        for name, (dtype, shape) in new.sections().items():
            section = sections.get(name, np.asarray(graph.file.section(name)))
            size = int(np.prod(shape))
            writer.add(name, np.resize(section.reshape(-1), size).astype(dtype))
        writer.finish()
    return GraphFile(path)


@pytest.mark.parametrize(
    ("facts", "sections"),
    [
        ({}, {"entry_nodes": np.full(64, 0xFFFFFFF0, np.uint32)}),
        ({}, {"nodes": np.random.default_rng(0).integers(0, 256, 1 << 16).astype(np.uint8)}),
        ({}, {"nodes": np.full(1 << 12, 255, np.uint8)}),
        ({}, {"nodes": np.zeros(1 << 12, np.uint8)}),
        ({}, {"group_biases": np.zeros(16, np.float32)}),
        ({}, {"entry_biases": np.full(16, np.nan, np.float32)}),
        ({}, {"copies": np.full(8, 0xFFFFFFF0, np.uint32)}),
        ({}, {"mean": np.full(8, np.nan, np.float32)}),
        ({"step": float("inf")}, {}),
        ({"projected": 0}, {}),
        ({"projected": 128}, {}),
        ({"groups": 0}, {}),
        ({"groups": 1}, {}),
        ({"nodes": 0}, {}),
        ({"nodes": 7}, {}),
        ({"copies": 0}, {}),
        ({"seed": 3}, {}),
    ],
)
def test_a_forged_file_is_refused_or_answers(graph, blocks, queries, tmp_path, facts, sections):
    try:
        changed = WalkedGraph(forged(graph, tmp_path / "graph", facts, sections), blocks)
    except DamagedFile:
        return
    allowed = np.random.default_rng(0).random(ROWS) < 0.3
    for flags in (None, allowed):
        found = changed.search(queries[:20], 5, GraphEffort(20), allowed=flags)
        assert ((found.ids >= -1) & (found.ids < ROWS)).all()


def test_a_header_that_claims_impossible_nodes_is_damaged(graph, tmp_path):
    text = graph.file.header.encoded()
    assert json.loads(text[48 : graph.file.header.text_end()])["degree"] == 32
    with pytest.raises(DamagedFile, match="neighbours"):
        node_bytes(DIM, 31)
    assert Parameters(16).degree == 16
