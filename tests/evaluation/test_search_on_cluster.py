"""Reports of blocks of queries become the report of one batch; see also tests/work."""

import numpy as np

from pairdex.evaluation.search_on_cluster import joined_reports
from pairdex.knn.cosine import Answered, Report
from pairdex.knn.ways import Choice, Way


def choice(taken, *positions):
    return Choice("own", taken, "cheap", (Way(taken),), np.array(positions))


def test_positions_of_blocks_are_those_of_the_batch():
    graph = Answered("graph", "ef=9", 0.9, 0.92, 400, by_lists=(2,), choices=(choice("graph", 0),))
    lists = Answered("ivf", "nprobe=4", 0.9, 0.91, 300, exactly=(1,), choices=(choice("ivf", 0),))
    exact = Answered(choices=(choice("codes", 0, 1),))
    again = Answered("graph", "ef=9", 0.9, 0.92, 400, choices=(choice("graph", 0),))
    reports = [
        Report(10, 2, 1, certified=False, exact=False, recall=0.95, answered=graph),
        Report(20, 3, 2, certified=False, exact=False, recall=0.94, answered=lists),
        Report(30, 4, 3, answered=exact),
        Report(40, 5, 4, certified=False, exact=False, recall=0.95, answered=again),
    ]
    joined = joined_reports(reports, [3, 2, 2, 1])
    assert (joined.scanned, joined.refined, joined.rechecked) == (100, 14, 10)
    assert (joined.certified, joined.exact, joined.recall) == (False, False, 0.94)
    answered = joined.answered
    assert (answered.by, answered.params) == ("graph", "ef=9; nprobe=4")
    assert (answered.promised, answered.measured_on) == (0.91, 300)
    assert (answered.exactly, answered.by_lists) == ((4, 5, 6), (2, 3))
    assert answered.counts(8) == {"graph": 3, "ivf": 2, "exact": 3}
    taken = {one.taken: one.positions.tolist() for one in answered.choices}
    assert taken == {"graph": [0, 7], "ivf": [3], "codes": [5, 6]}


def test_exact_blocks_are_an_exact_batch():
    joined = joined_reports([Report(5, 1, 1), Report(6, 2, 2)], [4, 3])
    assert joined.certified
    assert joined.exact
    assert joined.answered.counts(7) == {"exact": 7}
    assert joined.recall is None
