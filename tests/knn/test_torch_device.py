"""The search with PyTorch gives the answers of the search without, on its CPU device."""

import numpy as np
import pytest

from pairdex.errors import InvalidArgument
from pairdex.knn import cosine
from pairdex.knn.torch_device import nearest_on_device

torch = pytest.importorskip("torch", reason="needs PyTorch (pip install 'pairdex[cuda]')")


def unit_rows(n, dim, seed):
    """Rows in a narrow cone, as CLIP's are, with one huge coordinate."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, dim)) * 0.3 + rng.standard_normal(dim)
    rows[:, dim // 2] += 8
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def assert_same_answer(blocks, queries, k):
    expected = cosine.nearest(blocks, queries, k)
    found = nearest_on_device(blocks, queries, k, device="cpu")
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.distances, expected.distances)
    return found


@pytest.mark.parametrize(("dim", "k"), [(1, 3), (17, 1), (64, 10), (515, 100)])
def test_the_answer_is_that_of_the_scan_without_pytorch(dim, k):
    blocks = [unit_rows(1_700, dim, 1), unit_rows(301, dim, 2)]
    found = assert_same_answer(blocks, unit_rows(37, dim, 3).astype(np.float32), k)
    assert found.report.scanned == 37 * 2_001


def test_duplicates_and_ties_come_in_the_order_of_their_ids():
    rows = np.repeat(unit_rows(40, 24, 5), 25, axis=0)
    assert_same_answer([rows], rows[::50].astype(np.float32), 30)


def test_rows_without_direction_are_never_found():
    rows = unit_rows(50, 16, 6)
    rows[7], rows[11, 3], rows[13, 0] = 0, np.nan, np.inf
    found = assert_same_answer([rows], unit_rows(4, 16, 7).astype(np.float32), 50)
    assert not np.isin([7, 11, 13], found.ids).any()
    assert (found.ids == -1).sum(axis=1).tolist() == [3, 3, 3, 3]


def test_rows_of_any_length_are_compared_by_direction():
    rows = unit_rows(400, 32, 8)
    rows[::3] *= np.float16(2.0**-9)
    rows[1::3] *= np.float16(512)
    assert_same_answer([rows], unit_rows(9, 32, 9).astype(np.float32), 20)


def test_more_blocks_of_rows_and_queries_change_nothing(monkeypatch):
    monkeypatch.setattr("pairdex.knn.torch_device._ROW_BLOCK", 97)
    monkeypatch.setattr("pairdex.knn.torch_device._QUERY_BLOCK", 5)
    done = []
    blocks, queries = [unit_rows(1_000, 40, 1)], unit_rows(12, 40, 2).astype(np.float32)
    found = nearest_on_device(
        blocks, queries, 10, device="cpu", progress=lambda now, total: done.append((now, total))
    )
    np.testing.assert_array_equal(found.ids, cosine.nearest(blocks, queries, 10).ids)
    assert done == [(5, 12), (10, 12), (12, 12)]


def test_hopeless_ties_are_left_to_the_scan_on_the_cpu(monkeypatch):
    monkeypatch.setattr("pairdex.knn.torch_device._MAX_PAIRS", 100)
    assert_same_answer([np.repeat(unit_rows(1, 8, 1), 500, axis=0)], np.ones((2, 8), np.float32), 3)


@pytest.mark.parametrize(("value", "kind"), [(0, "all zero"), (np.nan, "not finite")])
def test_queries_without_direction_are_refused(value, kind):
    queries = np.array([[1, 0, 0, 0], [value] * 4], np.float32)
    with pytest.raises(InvalidArgument, match=f"query 1 is {kind}"):
        nearest_on_device([unit_rows(3, 4, 1)], queries, 1, device="cpu")


def test_an_unknown_device_is_refused():
    with pytest.raises(InvalidArgument, match="PyTorch has no device cuda:77 here"):
        nearest_on_device([unit_rows(3, 4, 1)], np.ones((1, 4), np.float32), 1, device="cuda:77")
