"""Figures read between the points of a sweep, as the tables of the benchmarks have them."""

import importlib.util
import math
import sys

import numpy as np
import pytest

from places import ROOT

SCRIPT = ROOT / "benchmarks" / "index_points.py"


@pytest.fixture(scope="module")
def points():
    spec = importlib.util.spec_from_file_location("index_points", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def measured(*figures):
    return [
        {"kind": "image", "recall": recall, "qps_batch": qps, "p50_ms": ms}
        for recall, qps, ms in figures
    ]


def test_a_figure_between_two_points_is_interpolated_log_linearly(points):
    sweep = measured((0.90, 400, 1), (0.94, 100, 4), (0.92, 90, 5))
    assert points.at_recall(sweep, "image", 0.92) == pytest.approx(200)
    assert points.at_recall(sweep, "image", 0.92, "p50_ms") == pytest.approx(2)


def test_a_level_below_all_points_has_the_figure_of_the_least_effort(points):
    assert points.at_recall(measured((0.95, 300, 1), (0.99, 100, 2)), "image", 0.9) == 300


def test_a_level_that_no_effort_reaches_has_no_figure(points):
    assert points.at_recall(measured((0.95, 300, 1)), "image", 0.97) is None
    assert points.at_recall(measured((0.95, 300, 1)), "text", 0.9) is None


def test_the_front_keeps_of_equal_recalls_the_better_figure(points):
    sweep = measured((0.9, 50, 3), (0.9, 100, 2), (0.8, 200, 1))
    assert points.front(sweep, "image", "qps_batch") == [(0.8, 200), (0.9, 100)]
    assert points.front(sweep, "image", "p50_ms") == [(0.8, 1), (0.9, 2)]


@pytest.fixture
def truth(points, tmp_path):
    """Four rows around one query, the second and third equally far, with k = 2."""
    angles = np.radians([10, 30, -30, 80])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    (tmp_path / "parts/img_emb").mkdir(parents=True)
    np.save(tmp_path / "parts/img_emb/img_emb_0.npy", rows)
    query = np.array([[2, 0]], np.float16)
    unit = rows.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    gold = np.sort(1 - unit[:, 0])[None]
    np.savez(tmp_path / "queries.npz", image=query, text=query)
    np.savez(tmp_path / "gold.npz", image_distances=gold, text_distances=gold)
    return points.Truth(tmp_path, 2)


@pytest.mark.parametrize(
    ("ids", "recall"),
    [([0, 1], 1), ([2, 0], 1), ([0, 3], 0.5), ([0, 0], 0.5), ([-1, 0], 0.5), ([3, 9], 0)],
    ids=["nearest", "tied", "one too far", "one row twice", "one missing", "no such row"],
)
def test_recall_counts_rows_at_most_as_far_as_the_kth(truth, ids, recall):
    assert math.isclose(truth.recall("image", np.array([ids], np.int64)), recall)


def test_ids_of_another_shape_are_refused(truth):
    with pytest.raises(ValueError, match=r"ids have shape \(1, 1\), expected one row of 2"):
        truth.recall("image", np.array([[0]]))
