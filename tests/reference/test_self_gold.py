"""The gold standard of all rows: exact, certified, without the row itself, and how results compare with it."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument, UnsupportedFormat
from pairdex.knn.distance import normalise
from pairdex.reference.read_gold import read_gold


def true_graph(rows, k):
    """The k nearest other rows of each row, and their distances."""
    unit = normalise(rows)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


def rows_of(collection, on="image"):
    return np.asarray(pairdex.open(collection).vectors(on))


@pytest.fixture
def graph_gold(collection, tmp_path):
    pairdex.gold(collection, collection, tmp_path / "gold.h5", k=5)
    return tmp_path / "gold.h5"


def test_it_holds_the_true_neighbours_without_the_row_itself(collection, graph_gold):
    ids, distances = true_graph(rows_of(collection), 5)
    with h5py.File(graph_gold) as file:
        knns, dists, facts = file["knns"][()], file["dists"][()], dict(file.attrs)
    np.testing.assert_allclose(dists, distances, atol=1e-6)
    np.testing.assert_array_equal(knns - 1, ids)
    assert (facts["certified"], facts["without_self"], facts["queries"]) == (True, True, 60)
    assert facts["ties"] == facts["near_duplicates"] == 0


def test_codes_change_nothing_and_the_command_reports_it(collection, graph_gold, run, tmp_path):
    out = run(
        "gold", collection, collection, "--out", tmp_path / "b.h5", "-k", 5, "--no-codes", "--json"
    )
    assert out.status == 0, out.err
    assert (out.json["n"], out.json["k"], out.json["certified"]) == (60, 5, True)
    np.testing.assert_array_equal(read_gold(tmp_path / "b.h5").ids, read_gold(graph_gold).ids)


def test_removed_rows_are_neither_rows_nor_neighbours(collection, run, tmp_path):
    (tmp_path / "ids.txt").write_text("3\n40\n")
    assert run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "x").status == 0
    report = pairdex.gold(collection, collection, tmp_path / "gold.h5", k=5)
    gold = read_gold(tmp_path / "gold.h5")
    assert (report.n, gold.n) == (58, 60)
    assert (gold.ids[[3, 40]] == -1).all()
    assert not np.isin(gold.ids, [3, 40]).any()
    pairdex.graph(collection, tmp_path / "graph.h5", k=5, exact=True)
    one = pairdex.evaluate(tmp_path / "graph.h5", tmp_path / "gold.h5", k=5).runs[0]
    assert (one.recall, one.n) == (1.0, 58)


def test_our_graph_is_compared_with_it_and_its_speed_counts_the_build(
    collection, graph_gold, tmp_path
):
    pairdex.graph(collection, tmp_path / "r/graph.h5", k=5, recall=0.5)
    found = pairdex.evaluate(tmp_path / "r", graph_gold, k=5)
    with h5py.File(tmp_path / "r/graph.h5") as file:
        knns, buildtime = file["knns"][()] - 1, file.attrs["buildtime"]
    true = read_gold(graph_gold).ids
    by_hand = np.mean([len(set(a) & set(b)) for a, b in zip(knns, true, strict=True)]) / 5
    assert found.runs[0].recall == pytest.approx(by_hand)
    assert found.runs[0].qps == pytest.approx(60 / buildtime)
    assert not any("taken to be" in note for note in found.runs[0].notes)


def write(path, ids, distances, group=None, **attributes):
    with h5py.File(path, "w") as file:
        place = file if group is None else file.create_group(group)
        place["knns"], place["dists"] = (ids + 1).astype(np.int32), distances.astype(np.float32)
        file.attrs.update(attributes)
    return path


def with_self(ids, distances):
    own = np.arange(len(ids))[:, None]
    return np.hstack([own, ids]), np.hstack([np.zeros((len(ids), 1)), distances])


@pytest.mark.parametrize("group", [None, "allknn"])
@pytest.mark.parametrize("is_similarity", [False, True])
def test_the_organisers_gold_standards_lose_their_self_references(
    collection, tmp_path, group, is_similarity
):
    ids, distances = true_graph(rows_of(collection), 5)
    ids_with, distances_with = with_self(ids, distances)
    stored = 1 - distances_with if is_similarity else distances_with
    gold = write(tmp_path / "gold.h5", ids_with, stored, group)
    read = read_gold(gold)
    np.testing.assert_array_equal(read.ids, ids)
    assert (read.is_graph, read.k) == (True, 5)
    assert "its queries are all rows: self-references removed, 5 are left" in read.notes
    facts = {"algo": "a", "task": "task1", "buildtime": 2.0, "querytime": 1.0, "params": ""}
    right = write(tmp_path / "right.h5", ids, distances, **facts)
    same = write(tmp_path / "same.h5", ids_with, distances_with, **facts)
    found = pairdex.evaluate([right, same], gold, k=5).runs
    assert [one.recall for one in found] == [1.0, 1.0]
    assert "self-references removed" in found[1].notes
    assert found[0].qps == 20.0
    with pytest.raises(InvalidArgument, match="knows 5 neighbours"):
        pairdex.evaluate([right], gold, k=6)


def test_a_row_of_many_equal_ones_may_lack_itself(tmp_path):
    ids = np.array([[0, 1], [0, 2], [2, 0], [3, 1]])  # row 1 equals row 0 and lacks itself
    gold = read_gold(write(tmp_path / "gold.h5", ids, np.tile([0.0, 0.1], (4, 1))))
    assert gold.ids.tolist() == [[1], [0], [0], [1]]


def test_queries_that_are_the_first_rows_of_a_larger_collection_keep_themselves(tmp_path):
    ids = np.array([[0, 7], [1, 2], [2, 1]])
    gold = read_gold(write(tmp_path / "gold.h5", ids, np.tile([0.0, 0.1], (3, 1))))
    assert not gold.is_graph
    assert gold.k == 2


def test_several_groups_with_neighbours_must_be_named(tmp_path):
    path = tmp_path / "benchmark.h5"
    with h5py.File(path, "w") as file:
        for group in ("itest", "otest"):
            file[f"{group}/knns"] = np.array([[1, 2]])
            file[f"{group}/dists"] = np.array([[0.1, 0.2]])
    with pytest.raises(UnsupportedFormat, match=r"name one of .*:itest, .*:otest"):
        read_gold(path)
    assert read_gold(f"{path}:otest").ids.tolist() == [[0, 1]]


def test_another_collection_or_too_large_a_k_is_refused(collection, tmp_path):
    import shutil

    shutil.copytree(collection, tmp_path / "other")
    with pytest.raises(InvalidArgument, match="is another collection than"):
        pairdex.gold(collection, tmp_path / "other", tmp_path / "gold.h5", k=5)
    with pytest.raises(InvalidArgument, match="each has 59 others"):
        pairdex.gold(collection, collection, tmp_path / "gold.h5", k=60)


@pytest.mark.parametrize("name", ["pca4", "hamming"])
def test_a_graph_and_a_gold_standard_in_a_projection_are_exact_in_its_distance(
    collection, tmp_path, name
):
    pairdex.project(collection, name)
    made = pairdex.graph(collection, tmp_path / "graph.h5", k=5, on=name)
    pairdex.gold(collection, collection, tmp_path / "gold.h5", k=5, on=name)
    assert (made.exact, made.passes) == (True, ("exact",))
    gold = read_gold(tmp_path / "gold.h5")
    assert pairdex.evaluate(tmp_path / "graph.h5", tmp_path / "gold.h5", k=5).runs[0].recall == 1.0
    files = sorted((collection / "projections" / name).glob("*.npy"))
    rows = np.concatenate([np.load(path) for path in files])
    if name == "hamming":
        bits = np.unpackbits(rows.view(np.uint8), axis=1).astype(np.int64)
        distances = (bits[:, None] != bits[None]).sum(axis=2).astype(float)
    else:
        distances = ((rows[:, None] - rows[None]).astype(float) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, :5]
    np.testing.assert_allclose(gold.distances, nearest, rtol=1e-4)
    with h5py.File(tmp_path / "graph.h5") as file:
        assert file.attrs["distance"] in ("squared Euclidean", "differing bits")
