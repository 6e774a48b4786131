"""Latency of the search features on a collection: terms, keywords, folding, look-ups, facets.

    python benchmarks/search_features.py COLLECTION [--rounds 30] [--json]

What is built once (codes, words, URLs) is built first and its time is reported. Facets are reported as first
asked for. Vectors of rows stand for texts, so that no model is needed.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pairdex
from pairdex.search import Query, Term

K = 20


def milliseconds(work: Callable[[int], Any], rounds: int) -> list[float]:
    """Median and 95th percentile of `rounds` calls, each with another number."""
    times = []
    for number in range(rounds):
        started = time.perf_counter()
        work(number)
        times.append(1_000 * (time.perf_counter() - started))
    return [round(float(np.percentile(times, share)), 1) for share in (50, 95)]


def once(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 2)


def built(c: pairdex.Collection) -> dict[str, float]:
    """Seconds to build what the features need, from nothing."""
    for name in ("keywords", "urls"):
        shutil.rmtree(c.path / "indexes" / name, ignore_errors=True)
    return {
        "codes": once(c.prepare),
        "keywords": once(c.prepare_keywords),
        "urls": once(lambda: c.find_urls(["x"])),
    }


def opened(c: pairdex.Collection) -> dict[str, float]:
    again = pairdex.open(c.path)
    return {"keywords": once(again.prepare_keywords), "urls": once(lambda: again.find_urls(["x"]))}


def latencies(c: pairdex.Collection, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    rows = rng.choice(len(c), rounds)
    others = rng.choice(len(c), (rounds, 2))
    urls = c.take(rows, ["url"])["url"].to_pylist()

    def search(number: int, **more: Any) -> None:  # noqa: ANN401 - options of a search
        c.search(Query(like=int(rows[number])), k=K, **more)

    def terms(number: int) -> None:
        plus, minus = map(int, others[number])
        weighed = [Term(like=int(rows[number])), Term(like=plus), Term(like=minus, weight=-0.5)]
        c.search(Query(terms=weighed), k=K)

    return {
        "search": milliseconds(search, rounds),
        "terms": milliseconds(terms, rounds),
        "safe": milliseconds(lambda n: search(n, safe=True), rounds) if c.has_safe_mode else None,
        "keywords": milliseconds(lambda n: search(n, keywords="red car"), rounds),
        "phrase": milliseconds(lambda n: search(n, keywords='"new york" -red'), rounds),
        "fold": milliseconds(lambda n: search(n, fold=0.06), rounds),
        "urls": milliseconds(lambda n: c.find_urls([urls[n]]), rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    c = pairdex.open(asked.collection)
    report = {
        "rows": len(c),
        "build_seconds": built(c),
        "open_seconds": opened(c),
        "milliseconds_p50_p95": latencies(c, asked.rounds),
        "facets_seconds": {
            "all": once(c.facets),
            "filtered": once(lambda: c.facets(where="width > 600")),
        },
        "bytes_a_row": {
            name: sum(file.stat().st_size for file in (c.path / "indexes" / name).iterdir())
            / len(c)
            for name in ("keywords", "urls")
        },
    }
    if asked.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
