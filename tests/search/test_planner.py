"""The planner takes the cheapest way that reaches the recall, by measured costs, and says why."""

import numpy as np
import pytest

from pairdex.ivf.costs import BatchCosts, Costs, ExactCost, IndexCost
from pairdex.ivf.efforts import Effort, OperatingPoints
from pairdex.search.planner import Situation, decide

NONE = OperatingPoints(0.9, {"own": {}, "other": {}}, {"own": 0, "other": 0}, of="x")


def points(nprobe, rerank=20):
    """Operating points that promise .9 with this effort, for queries like the rows."""
    efforts = {10: [Effort(nprobe, rerank, 0.3, 0.93, low=0.9, queries=500)]}
    return OperatingPoints(0.9, {"own": efforts, "other": {}}, {"own": 800, "other": 0}, of="x")


def exact(row, *, fixed=0.0, walked=0.1, gathered=50.0, neighbour=0.0):
    return ExactCost(fixed, row, walked, gathered, neighbour)


def batch(queries, *, scanned=4.0, codes=9.0, rows=60.0):
    by_index = IndexCost(20_000, scanned, 100)
    return BatchCosts(queries, by_index, by_index, exact(codes), exact(rows))


# One query: 4 ns for each scanned row, 9 for each row by codes. Of 1,000: 4 and 0.5.
COSTS = Costs("here", (batch(1), batch(1000, codes=0.5, rows=4.0)))


@pytest.mark.parametrize(
    ("queries", "rows", "nprobe", "allowed", "taken"),
    [
        (1, 100_000, 10, None, "ivf"),  # 20 + 40 + 2 µs against 900
        (1000, 100_000, 10, None, "codes"),  # 62 µs against 50
        (1000, 1_000_000, 10, None, "ivf"),  # 62 µs (1,000 rows a list) against 500
        (1, 2_000, 10, None, "codes"),  # 23 µs against 18
        (1, 100_000, 10, 50_000, "ivf"),  # 102 µs; 10 + 900 µs by codes, 10 + 2,500 µs by rows
        (1, 100_000, 1, 1_500, "rows"),  # 22 + 267 µs; 10 + 135 and 10 + 75 µs
        (1, 100_000, 10, 20, "rows"),  # the lists would show more than are allowed
    ],
)
def test_the_cheapest_way_is_taken(queries, rows, nprobe, allowed, taken):
    situation = Situation(rows, rows // 1000, k=10, recall=0.9, allowed=allowed)
    costs = COSTS
    if allowed is not None:
        first = COSTS.own[0]
        gathering = BatchCosts(1, first.index, first.filtered, exact(9, gathered=90), first.rows)
        costs = Costs("here", (gathering, COSTS.own[1]))
    choice, effort = decide("own", np.arange(queries), points(nprobe), costs, situation)
    assert choice.taken == taken
    assert (effort is None) == (taken != "ivf")
    possible = {way.name: way.microseconds for way in choice.ways if way.why_not is None}
    assert min(possible, key=possible.get) == taken
    assert choice.because == "it is expected to be the fastest"


def test_the_expected_costs_and_recalls_are_reported():
    situation = Situation(100_000, 100, k=10, recall=0.9)
    choice, _ = decide("own", np.arange(1), points(10), COSTS, situation)
    assert choice.as_json() == {
        "kind": "own",
        "queries": 1,
        "taken": "ivf",
        "because": "it is expected to be the fastest",
        "ways": [
            {
                "name": "ivf",
                "microseconds": pytest.approx(62),
                "recall": 0.9,
                "params": "nprobe=10 rerank=20",
                "why_not": None,
            },
            {
                "name": "codes",
                "microseconds": pytest.approx(900),
                "recall": 1.0,
                "params": "",
                "why_not": None,
            },
            {
                "name": "rows",
                "microseconds": pytest.approx(6000),
                "recall": 1.0,
                "params": "",
                "why_not": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("kind", "known", "k", "recall", "why"),
    [
        (None, points(10), 10, 0.9, "the queries are unlike the rows"),
        ("other", points(10), 10, 0.9, "no recall was measured for such queries"),
        ("own", NONE, 10, 0.9, "no recall was measured for such queries"),
        ("own", points(10), 101, 0.9, "k is 101, and the index promises a recall for at most 100"),
        ("own", points(10), 10, 0.95, "promises a recall of 0.95 for 10 neighbours"),
    ],
)
def test_it_is_said_why_the_index_is_not_possible(kind, known, k, recall, why):
    situation = Situation(100_000, 100, k=k, recall=recall)
    choice, effort = decide(kind, np.arange(1), known, COSTS, situation)
    assert effort is None
    assert choice.taken == "codes"
    assert why in choice.ways[0].why_not


def test_a_filter_that_leaves_too_few_rows_is_named_with_their_number():
    situation = Situation(100_000, 100, k=10, recall=0.9, allowed=2_000)
    choice, _ = decide("own", np.arange(1), points(1), COSTS, situation)
    assert choice.ways[0].why_not is None
    choice, _ = decide("own", np.arange(1), points(2), COSTS, situation)
    assert choice.ways[0].why_not == "the filter leaves 2,000 rows, and the lists would show 2,002"


def test_without_codes_the_rows_are_compared():
    situation = Situation(100_000, 100, k=200, recall=0.9, why_no_codes="codes are switched off")
    choice, _ = decide("own", np.arange(1), points(10), COSTS, situation)
    assert (choice.taken, choice.because) == ("rows", "it is the only way that is possible")
    assert choice.ways[1].why_not == "codes are switched off"


def test_costs_between_two_sizes_of_a_batch_are_interpolated():
    def cost(queries):
        return COSTS.of_exact("own", queries, by_codes=True, rows=1000, allowed=None, k=10)

    assert (cost(1), cost(1000), cost(5000)) == pytest.approx((9000, 500, 500))
    assert 500 < cost(100) < cost(10) < 9000
    assert cost(10) ** 2 == pytest.approx(cost(1) * cost(100))


def test_queries_of_an_unknown_kind_cost_what_those_like_the_rows_do():
    assert COSTS.of_exact("other", 1, by_codes=False, rows=10, allowed=None, k=10) == 600
