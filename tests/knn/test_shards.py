"""Shards searched one after another: the same answer as all rows together, with limits for each query."""

import numpy as np
import pytest

from conftest import unit_rows
from pairdex import _native
from pairdex.knn import cosine
from pairdex.knn.codes import CodesOfShards, code_rows
from pairdex.knn.merging import Merging

DIM = 48


def shards_of(*rows):
    """Blocks with many equal rows, and the codes of each; every third shard has none."""
    blocks = [unit_rows(count, DIM, seed=number) for number, count in enumerate(rows)]
    for block in blocks:
        block[: len(block) // 3] = blocks[0][: len(block) // 3]
    codes = [None if n % 3 == 2 else code_rows(block) for n, block in enumerate(blocks)]
    return blocks, CodesOfShards(tuple(zip(rows, codes, strict=True)), DIM)


@pytest.mark.parametrize("k", [1, 7, 40, 500])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_shards_give_the_answer_of_all_rows(k, share):
    blocks, codes = shards_of(90, 130, 70, 64)
    queries = np.concatenate([blocks[0][:4], unit_rows(20, DIM, seed=9)]).astype(np.float32)
    allowed = None if share == 1 else np.random.default_rng(0).random(354) < share
    found = cosine.nearest(blocks, queries, k, allowed=allowed, codes=codes, gather=False)
    true = cosine.nearest(blocks, queries, k, allowed=allowed)
    np.testing.assert_array_equal(found.ids, true.ids)
    np.testing.assert_array_equal(found.distances, true.distances)
    assert found.report.certified
    assert found.report.scanned > 0


def test_a_later_shard_is_searched_only_within_the_distances_so_far():
    blocks, codes = shards_of(2000, 2000)
    near = blocks[0][:50] + 0.01
    queries = near.astype(np.float32)
    alone = cosine.nearest(blocks[1:], queries, 10, codes=codes.shards[1][1]).report
    first = cosine.nearest(blocks[:1], queries, 10, codes=codes.shards[0][1]).report
    both = cosine.nearest(blocks, queries, 10, codes=codes).report
    assert both.rechecked - first.rechecked < alone.rechecked


def test_within_limits_every_query_of_all_shards():
    blocks, codes = shards_of(90, 130)
    queries = unit_rows(10, DIM, seed=5).astype(np.float32)
    found = cosine.nearest(blocks, queries, 30, within=0.8, codes=codes)
    true = cosine.nearest(blocks, queries, 30, within=0.8)
    np.testing.assert_array_equal(found.ids, true.ids)
    assert (found.distances[found.ids >= 0] <= 0.8).all()
    assert (found.ids < 0).any()


@pytest.mark.parametrize("by_codes", [False, True])
def test_each_query_has_its_own_limit(by_codes):
    blocks, codes = shards_of(90)
    queries = unit_rows(6, DIM, seed=5).astype(np.float32)
    true = cosine.nearest(blocks, queries, 20)
    limits = true.distances[:, 5] * np.array([1, 0, 0.5, 1, 2, 3])
    own = codes.shards[0][1]
    options = {"allowed": None, "within": limits, "threads": 2, "kernel": ""}
    if by_codes:
        coded = {"coordinates": own.coordinates(queries), "slack": own.slack}
        planes = {"head": own.head, "rest": own.rest}
        ids, distances, *_ = _native.nearest_by_codes(
            blocks, queries, 20, **coded, **planes, **options
        )
    else:
        ids, distances, _ = _native.nearest(blocks, queries, 20, **options)
    inside = true.distances <= limits[:, None]
    np.testing.assert_array_equal(ids, np.where(inside, true.ids, -1))
    np.testing.assert_array_equal(distances, np.where(inside, true.distances, np.inf))
    with pytest.raises(ValueError, match="not one limit for each query"):
        _native.nearest(blocks, queries, 20, **options | {"within": limits[:3]})


def test_merged_rows_are_ordered_by_distance_then_id():
    merging = Merging(1, 3)
    assert merging.limits.tolist() == [np.inf]
    merging.add(np.array([[4, 1, -1]]), np.array([[0.1, 0.3, np.inf]]), 0)
    merging.add(np.array([[0, 2, 3]]), np.array([[0.1, 0.2, 0.3]]), 10)
    assert merging.ids.tolist() == [[4, 10, 12]]
    assert merging.distances.tolist() == [[0.1, 0.1, 0.2]]
    assert merging.limits.tolist() == [0.2]
