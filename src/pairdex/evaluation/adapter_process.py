"""Runs one adapter in a process of its own, under limits. It is started as a script with a job in JSON.

It imports only numpy and the standard library, so that an adapter may run in an environment without
pairdex. Each finished step is one line of JSON in the job's report, so a killed process leaves the others.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("fit", "set_query_arguments", "batch_query")
_WARM_UP_QUERIES = 10


def main(job_path: str) -> None:
    """Run the job: fit once, then answer all queries with each of the query arguments."""
    job = json.loads(Path(job_path).read_text())
    _limit(job)
    vectors, queries = np.load(job["vectors"], mmap_mode="r"), np.load(job["queries"])
    adapter = _find(Path(job["adapter"]), job["name"])()
    seconds, _ = _timed(adapter.fit, vectors)
    said = {key: str(getattr(adapter, key, "")) for key in ("name", "version")}
    _say(job, {"step": "fit", "seconds": seconds, **said, **_memory()})
    for number, arguments in enumerate(_arguments(adapter)):
        adapter.set_query_arguments(*arguments)
        adapter.batch_query(queries[:_WARM_UP_QUERIES], job["k"])
        times, ids = [], None
        for _ in range(job["repeat"]):
            took, ids = _timed(adapter.batch_query, queries, job["k"])
            times.append(took)
        np.save(Path(job["folder"]) / f"{number}.npy", np.asarray(ids))
        params = str(getattr(adapter, "params", "") or _shown(arguments))
        _say(
            job, {"step": "query", "number": number, "params": params, "times": times, **_memory()}
        )


def _limit(job: dict[str, Any]) -> None:
    """Limit the processors and the memory that this process allocates, as far as its parent did not."""
    if job["cpus"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["cpus"]])
    if job["memory_bytes"] and job["limited_by"] == "rlimit":
        limit = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
        resource.setrlimit(limit, (job["memory_bytes"], job["memory_bytes"]))


def _find(path: Path, name: str | None) -> type[Any]:
    """Return the class of a file that has the three methods."""
    sys.path.insert(0, str(path.parent))
    found = {
        key: value
        for key, value in runpy.run_path(str(path)).items()
        if inspect.isclass(value) and all(callable(getattr(value, each, None)) for each in METHODS)
    }
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    listed = ", ".join(found) or "none"
    raise SystemExit(f"expected one class with the methods {', '.join(METHODS)}, found {listed}")


def _arguments(adapter: object) -> list[tuple[Any, ...]]:
    given = getattr(adapter, "query_arguments", None) or [()]
    return [tuple(one) if isinstance(one, (list, tuple)) else (one,) for one in given]


def _shown(arguments: tuple[Any, ...]) -> str:
    return " ".join(str(one) for one in arguments)


def _timed(call: Any, *arguments: Any) -> tuple[float, Any]:  # noqa: ANN401 - any method of an adapter
    started = time.perf_counter()
    made = call(*arguments)
    return time.perf_counter() - started, made


def _memory() -> dict[str, int]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_memory_bytes": peak if sys.platform == "darwin" else peak * 1024}


def _say(job: dict[str, Any], step: dict[str, Any]) -> None:
    with Path(job["report"]).open("a") as file:
        file.write(json.dumps(step) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
