"""The ceiling of a projection is the recall of brute force in it, recomputed here independently."""

import numpy as np
import pytest

import pairdex
from pairdex.derived.projections.files import open_projection
from pairdex.errors import InvalidArgument
from pairdex.knn.distance import cosine_distance
from pairdex.store.store import Store


def order(distances):
    return np.argsort(distances, axis=1, kind="stable")


def by_hand(store, name, queries, own=None):
    """Recall at 10 and 30 from full matrices of distances."""
    rows = store.vectors("image")[:].astype(np.float64)
    true = order(cosine_distance(queries[:, None], rows[None]))
    projection = open_projection(store, name)
    points, asked = np.concatenate(projection.blocks), projection.apply(queries)
    if name == "hamming":
        found = order(np.bitwise_count(asked[:, None] ^ points[None]).sum(axis=2))
    else:
        found = order(((asked[:, None].astype(np.float64) - points[None]) ** 2).sum(axis=2))
    if own is not None:
        true, found = (
            np.array([[i for i in ids if i != me] for ids, me in zip(t, own, strict=True)])
            for t in (true, found)
        )
    return {
        k: np.mean([len(set(a[:k]) & set(b[:k])) for a, b in zip(true, found, strict=True)]) / k
        for k in (10, 30)
    }


@pytest.mark.parametrize("name", ["pca3", "hamming"])
def test_without_queries_all_rows_of_a_small_collection_are_queries_that_exclude_themselves(
    collection, name
):
    image, text = pairdex.project(collection, name, ceiling=True).recall_ceiling
    store = Store(collection)
    assert (image.queries, image.n, text.queries, text.n) == ("image", 60, "text", 60)
    vectors = store.vectors("image")[:].astype(np.float32)
    assert image.recall == pytest.approx(by_hand(store, name, vectors, own=range(60)))
    texts = store.vectors("text")[:].astype(np.float32)
    assert text.recall == pytest.approx(by_hand(store, name, texts))
    assert 0 < image.recall[10] < 1


def test_given_queries_are_used_unchanged(collection, tmp_path):
    queries = np.random.default_rng(3).standard_normal((7, 8)).astype(np.float32)
    np.save(tmp_path / "q.npy", queries)
    report = pairdex.project(collection, "pca3", queries=tmp_path / "q.npy", ceiling=True)
    (given,) = report.recall_ceiling
    assert (given.queries, given.n) == ("given", 7)
    assert given.recall == pytest.approx(by_hand(Store(collection), "pca3", queries))


def test_all_components_find_all_neighbours(collection):
    image, _ = pairdex.project(collection, "pca8", ceiling=True).recall_ceiling
    assert image.recall == {10: 1.0, 30: 1.0}


def test_removed_rows_are_neither_queries_nor_found(collection):
    pairdex.remove(collection, ids=[0, 5, 30], reason="test")
    image, text = pairdex.project(collection, "pca8", ceiling=True).recall_ceiling
    assert (image.n, text.n) == (57, 57)
    assert image.recall[30] == 1.0


def test_too_few_rows_for_a_ceiling_are_an_error(make_parts, build, tmp_path):
    build(make_parts(30), tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has 30 rows, a recall ceiling needs at least 31"):
        pairdex.project(tmp_path / "c", "pca2", ceiling=True)


def test_the_command_prints_a_table_and_json(collection, run):
    out = run("project", collection, "pca3", "--ceiling")
    assert out.out.splitlines()[-3].split() == ["queries", "n", "recall@10", "recall@30", "time"]
    assert [line.split()[0] for line in out.out.splitlines()[-2:]] == ["image", "text"]
    ceiling = run("project", collection, "pca3", "--ceiling", "--json").json["recall_ceiling"]
    assert set(ceiling) == {"image", "text"}
    assert set(ceiling["image"]) == {"n", "recall@10", "recall@30", "seconds"}
