"""Operating points and the front, on runs whose best is seen at once."""

import pytest

from pairdex.errors import InvalidArgument
from pairdex.evaluation.points import Threshold, operating_points, pareto, thresholds_for
from pairdex.evaluation.runs import Run, views


def run(algo, params, recall, qps, *, queries=None, by_kind=None, k=10):
    seconds = None if qps is None else 100 / qps
    return Run(
        f"{algo}-{params}.h5", algo, params, "clip768", "100K", None, None, queries, 100, k,
        recall, recall, qps, 1.0, seconds, None, by_kind or {},
    )  # fmt: skip


def best(runs, thresholds):
    return [
        (str(p.threshold), p.kind, p.group[0], p.run and p.run.params)
        for p in operating_points(views(runs), thresholds)
    ]


def test_the_fastest_run_that_meets_a_threshold_is_told_for_each_algorithm():
    runs = [
        run("graph", "ef=10", 0.85, 900),
        run("graph", "ef=20", 0.91, 500),
        run("graph", "ef=40", 0.95, 700),
        run("scan", "all", 1.0, 20),
        run("scan", "untimed", 1.0, None),
    ]
    assert best(runs, [Threshold(0.8), Threshold(0.9, strict=True)]) == [
        ("≥ 0.8", None, "graph", "ef=10"),
        ("≥ 0.8", None, "scan", "all"),
        ("> 0.9", None, "graph", "ef=40"),
        ("> 0.9", None, "scan", "all"),
    ]


def test_a_threshold_that_none_meets_is_told_so():
    assert best([run("a", "x", 0.9, 10)], [Threshold(0.9, strict=True)]) == [
        ("> 0.9", None, "a", None)
    ]
    assert best([run("a", "x", 0.9, 10)], [Threshold(0.9)]) == [("≥ 0.9", None, "a", "x")]


def test_kinds_of_queries_are_told_apart():
    runs = [run("a", "x", 0.75, 10, by_kind={"image": 1.0, "text": 0.5})]
    assert best(runs, [Threshold(0.9)]) == [
        ("≥ 0.9", "image", "a", "x"),
        ("≥ 0.9", "text", "a", None),
    ]
    runs = [run("a", "x", 0.95, 10, queries="image"), run("a", "y", 0.95, 20, queries="text")]
    assert best(runs, [Threshold(0.9)]) == [
        ("≥ 0.9", "image", "a", "x"),
        ("≥ 0.9", "text", "a", "y"),
    ]


def test_thresholds_are_sisap_s_for_its_k_and_can_be_chosen():
    assert thresholds_for(10, None) == (Threshold(0.9, strict=True),)
    assert thresholds_for(30, None) == (Threshold(0.8), Threshold(0.4))
    assert thresholds_for(5, None) == (Threshold(0.9),)
    assert thresholds_for(10, [0.5, 0.99, 0.5]) == (Threshold(0.5), Threshold(0.99))
    with pytest.raises(InvalidArgument, match="the threshold is 90, expected a recall from 0 to 1"):
        thresholds_for(10, [90])


def test_the_front_keeps_equals_and_drops_what_is_surpassed():
    points = [(0.5, 10.0), (0.5, 9.0), (0.4, 10.0), (0.9, 1.0), (0.9, 1.0), (0.1, 20.0)]
    assert pareto(points) == [True, False, False, True, True, True]
    assert pareto([]) == []
    assert pareto([(0.0, 0.0)]) == [True]
