"""Rows that are inserted into a graph are found as if it had been built with them."""

from dataclasses import replace

import numpy as np
import pytest

from ivf_data import image_and_text_rows
from pairdex.graph_index import insert as inserting
from pairdex.graph_index.assembly import Indexed
from pairdex.graph_index.build import BUILDING, build
from pairdex.graph_index.efforts import GraphEffort
from pairdex.graph_index.file import GraphFile
from pairdex.graph_index.insert import can_insert, insert
from pairdex.graph_index.parameters import choose
from pairdex.graph_index.search import WalkedGraph
from pairdex.knn import cosine
from places import DATA

ROWS, OLD = 4000, 3200
EPSILON = 1e-9


def indexed(blocks, left_out=()):
    parts = [str(number) for number in range(len(blocks))]
    return Indexed(blocks, parts, np.array(left_out, np.uint32))


def built(path, rows):
    assert build(rows, path, choose(rows.count, rows.blocks[0].shape[1]), threads=2)
    return GraphFile(path)


def inserted(old, path, rows, *, threads=2):
    parameters = choose(rows.count, rows.blocks[0].shape[1])
    assert can_insert(old, rows, parameters)
    insert(old, rows, path, parameters, threads=threads)
    return WalkedGraph(GraphFile(path), rows.blocks)


def recall(graph, blocks, queries, visits, k=10):
    found = graph.search(queries, k, GraphEffort(visits))
    truth = cosine.nearest(blocks, queries, k, allowed=None, codes=None)
    return float((found.distances <= truth.distances[:, -1:] + EPSILON).mean())


@pytest.fixture(scope="module")
def blocks():
    images, _ = image_and_text_rows(ROWS, 1)
    images[3000:3050] = images[3000]
    images[3300:3350] = images[3000]  # equal to rows of the old part
    images[3500:3600] = images[3500]
    return [images[:OLD], images[OLD:]]


@pytest.fixture(scope="module")
def queries():
    return image_and_text_rows(200, 99)[0].astype(np.float32)


@pytest.fixture(scope="module")
def old(blocks, tmp_path_factory):
    return built(tmp_path_factory.mktemp("old") / "graph", indexed(blocks[:1]))


@pytest.fixture(scope="module")
def graph(old, blocks, tmp_path_factory):
    return inserted(old, tmp_path_factory.mktemp("new") / "graph", indexed(blocks))


@pytest.mark.parametrize(("visits", "floor"), [(16, 0.94), (32, 0.985)])
def test_recall_after_inserting_is_that_of_a_build(graph, blocks, queries, visits, floor):
    assert recall(graph, blocks, queries, visits) >= floor


def test_new_rows_are_found_by_their_own_vectors(graph, blocks):
    found = graph.search(blocks[1][400:].astype(np.float32), 1, GraphEffort(32))
    assert (found.ids[:, 0] == np.arange(OLD + 400, ROWS)).mean() >= 0.99


def test_every_node_has_an_edge_to_it(graph):
    header = graph.file.header
    nodes = graph.file.section("nodes").reshape(header.nodes, -1)
    edges = np.ascontiguousarray(nodes[:, -4 * header.degree :]).view(np.uint32)
    assert np.isin(np.arange(header.nodes), edges).all()


def test_rows_equal_to_old_or_new_ones_are_all_found(graph, blocks):
    for first, ids in ((3000, [*range(3000, 3050), *range(3300, 3350)]), (3500, range(3500, 3600))):
        query = np.concatenate(blocks)[first : first + 1].astype(np.float32)
        assert graph.search(query, 100, GraphEffort(128)).ids[0].tolist() == list(ids)


def test_clusters_that_the_old_part_lacks_can_be_reached_and_left(tmp_path):
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((50, 128))
    labels = np.sort(rng.integers(0, 50, ROWS))  # the last ones occur in the new part only
    rows = (centres[labels] + 0.5 * rng.standard_normal((ROWS, 128))).astype(np.float16)
    held_out = np.arange(ROWS) % 20 == 0
    queries, is_new = rows[held_out].astype(np.float32), np.flatnonzero(held_out) > OLD + 100
    rest = rows[~held_out]
    blocks = [rest[: int(0.8 * len(rest))], rest[int(0.8 * len(rest)) :]]
    built_file = built(tmp_path / "old", indexed(blocks[:1]))
    graph = inserted(built_file, tmp_path / "new", indexed(blocks))
    assert recall(graph, blocks, queries[is_new], 64) >= 0.96
    assert recall(graph, blocks, queries[~is_new], 64) >= 0.96


@pytest.mark.skipif(not (DATA / "clip_b32_images.npy").exists(), reason="needs ../shared/data")
def test_recall_after_inserting_a_fifth_of_real_vectors(tmp_path):
    vectors = np.load(DATA / "clip_b32_images.npy", mmap_mode="r")[:].astype(np.float16)
    held_out = np.arange(len(vectors)) % 26 == 0
    rows, queries = vectors[~held_out], vectors[held_out].astype(np.float32)
    blocks = [rows[: int(0.8 * len(rows))], rows[int(0.8 * len(rows)) :]]
    graph = inserted(
        built(tmp_path / "old", indexed(blocks[:1])), tmp_path / "new", indexed(blocks)
    )
    assert recall(graph, blocks, queries, 32) >= 0.975
    assert recall(graph, blocks, queries, 128) >= 0.99


def test_the_file_is_the_same_whatever_the_threads(old, graph, blocks, tmp_path):
    inserted(old, tmp_path / "graph", indexed(blocks), threads=1)
    assert (tmp_path / "graph").read_bytes() == graph.file.path.read_bytes()


def test_an_interrupted_insertion_leaves_the_old_graph_and_resumes(
    old, graph, blocks, tmp_path, monkeypatch
):
    path = tmp_path / "graph"
    path.write_bytes(old.path.read_bytes())
    mine = GraphFile(path)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inserting._Insertion, "_walk", interrupt)
        with pytest.raises(KeyboardInterrupt):
            inserted(mine, path, indexed(blocks))
    assert path.read_bytes() == old.path.read_bytes()
    monkeypatch.setattr(inserting, "find_near", interrupt)  # is not done again
    inserted(mine, path, indexed(blocks))
    assert path.read_bytes() == graph.file.path.read_bytes()
    assert not path.with_name(f"graph{BUILDING}").exists()


def test_parts_are_inserted_one_after_another(old, blocks, queries, tmp_path):
    pieces = [blocks[0], *np.array_split(blocks[1], 3)]
    file = old
    for count in (2, 3, 4):
        graph = inserted(file, tmp_path / f"graph{count}", indexed(pieces[:count]))
        file = graph.file
    assert file.header.inserted == ROWS - OLD
    assert recall(graph, pieces, queries, 32) >= 0.985


def test_a_part_of_copies_and_rows_without_direction_adds_no_node(old, blocks, tmp_path):
    part = np.concatenate([blocks[0][:5], np.zeros((3, blocks[0].shape[1]), np.float16)])
    graph = inserted(old, tmp_path / "graph", indexed([blocks[0], part]))
    assert graph.file.header.nodes == old.header.nodes
    found = graph.search(part[:5].astype(np.float32), 2, GraphEffort(16))
    assert found.ids.tolist() == [[i, OLD + i] for i in range(5)]


def test_removed_rows_of_new_parts_have_no_node_and_their_copies_stay(old, blocks, tmp_path):
    gone = [3000, 3500, 3999]  # of old rows, walks still pass through
    graph = inserted(old, tmp_path / "graph", indexed(blocks, gone))
    assert graph.file.section("left_out").tolist() == [3500, 3999]
    query = blocks[1][300:301].astype(np.float32)
    assert graph.search(query, 99, GraphEffort(128)).ids[0].tolist() == list(range(3501, 3600))


def other(blocks, **changes):
    return replace(indexed(blocks), **changes)


def test_a_graph_is_built_again_where_inserting_would_not_do(old, blocks):
    parameters, (first, second) = choose(ROWS, blocks[0].shape[1]), blocks
    assert not can_insert(old, other([first, second], parts=["x", "1"]), parameters)
    assert not can_insert(old, indexed([second, first]), parameters)
    assert not can_insert(old, indexed(blocks), choose(ROWS, first.shape[1], size="compact"))
    assert not can_insert(old, indexed([first, first, second]), parameters)  # more than there were
    assert not can_insert(old, indexed([first, -second]), parameters)  # far from the old mean
