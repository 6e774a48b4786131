"""What result files say about a search: what answered, with which settings, and where it ran.

SISAP's evaluation fails on attributes of the file that it does not know. `params` therefore names all
settings, and further facts become attributes of `knns`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pairdex.files.hdf5_tables import Value
from pairdex.knn.cosine import Answered, Report
from pairdex.version import __version__
from pairdex.work.machine import machine, peak_memory_bytes
from pairdex.work.processors import usable_processors

__all__ = ["algorithm", "answered_by", "facts_of", "settings", "shown_counts"]


def algorithm(answered: Answered, n_queries: int) -> str:
    """Return the name of what answered.

    Examples
    --------
    >>> algorithm(Answered("ivf", exactly=(0, 7)), 10)
    'pairdex ivf + exact'
    """
    return f"pairdex {' + '.join(answered.counts(n_queries))}"


def shown_counts(answered: Answered, n_queries: int) -> str:
    """Return what answered, with the number of queries if they differ: `ivf`, or `ivf 8, exact 2`."""
    counts = answered.counts(n_queries)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{by} {count:,}" for by, count in counts.items())


def settings(report: Report, n_queries: int, *, k: int, on: str, where: str | None = None) -> str:
    """Return `params`: every setting that changes an answer or its speed."""
    answered = report.answered
    parts = [f"k={k}", f"on={on}"]
    if answered.by == "exact":
        parts.append(f"by={'codes' if report.scanned else 'rows'}")
    if answered.asked is not None:
        parts.append(f"recall={answered.asked:g}")
    parts.append(answered.params)
    if answered.exactly or answered.by_lists:
        counts = answered.counts(n_queries)
        parts.append(f"by={','.join(f'{by}:{count}' for by, count in counts.items())}")
    if where:
        parts.append(f"where={where}")
    return " ".join(filter(None, parts))


def facts_of(report: Report, n_queries: int) -> dict[str, Value]:
    """Return facts about a search for the attributes of `knns`."""
    answered = report.answered
    known: dict[str, Value | None] = {
        "answered_by": shown_counts(answered, n_queries),
        "recall_asked": answered.asked,
        "recall_promised": answered.promised,
        "recall_measured": report.recall,
        "recall_queries": answered.measured_on or None,
        "certified": report.certified,
        "threads": usable_processors(),
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": machine(),
        "created_by": f"pairdex {__version__}",
    }
    return {name: value for name, value in known.items() if value is not None}


def answered_by(report: Report, n_queries: int) -> NDArray[np.bytes_] | None:
    """Return what answered each query, (n,) ASCII; None if it is the same for all."""
    answered = report.answered
    if len(answered.counts(n_queries)) == 1:
        return None
    by = np.full(n_queries, answered.by.encode(), dtype=f"S{max(len(answered.by), 5)}")
    by[list(answered.by_lists)] = b"ivf"
    by[list(answered.exactly)] = b"exact"
    return by
