"""Counts and times of what the service does, in the text format that Prometheus reads."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from threading import Lock

from pairdex.service.catalogue import Catalogue
from pairdex.version import __version__

__all__ = ["Metrics"]

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_SECONDS = (0.0001, 0.0005, *_REQUEST_SECONDS)
_BATCH_ITEMS = (1, 2, 4, 8, 16, 32, 64)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What has been counted since the service began; workers' threads count too."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = Lock()
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._errors: dict[str, int] = defaultdict(int)
        self._caches: dict[tuple[str, str], int] = defaultdict(int)
        self._routes: dict[str, _Histogram] = defaultdict(lambda: _Histogram(_REQUEST_SECONDS))
        self._stages: dict[str, _Histogram] = defaultdict(lambda: _Histogram(_STAGE_SECONDS))
        self._batches: dict[str, _Histogram] = defaultdict(lambda: _Histogram(_BATCH_ITEMS))
        self.in_progress = 0  # requests
        self.waiting = 0  # searches and texts that wait for their batch to begin
        self.reopened = 0  # collections, because they had changed

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests[route, method if method in _METHODS else "OTHER", status] += 1
        self._routes[route].add(seconds)

    def error(self, code: str) -> None:
        """Count an error that was answered."""
        self._errors[code] += 1

    def stage(self, stage: str, seconds: float) -> None:
        """Count the time that a stage of the work took."""
        with self._lock:
            self._stages[stage].add(seconds)

    def batch(self, stage: str, waited: Sequence[float]) -> None:
        """Count a batch that begins, and how many seconds each of its items has waited."""
        with self._lock:
            self._batches[stage].add(len(waited))
            for seconds in waited:
                self._stages["queue"].add(seconds)

    def cache(self, name: str, *, hit: bool) -> None:
        """Count what was asked of a cache."""
        with self._lock:
            self._caches[name, "hit" if hit else "miss"] += 1

    def text(self) -> str:
        """Return all of it in Prometheus' text format, version 0.0.4."""
        with self._lock:
            return "\n".join([*self._gauges(), *self._counters(), *self._histograms(), ""])

    def _gauges(self) -> Iterator[str]:
        yield from _head("pairdex_info", "gauge", "The running version.")
        yield f'pairdex_info{{version="{__version__}"}} 1'
        yield from _head("pairdex_rows", "gauge", "Rows of a collection.")
        for served in self._catalogue:
            yield f'pairdex_rows{{collection="{_escaped(served.name)}"}} {len(served.collection)}'
        yield from _head("pairdex_requests_in_progress", "gauge", "Requests being answered.")
        yield f"pairdex_requests_in_progress {self.in_progress}"
        yield from _head("pairdex_queue_length", "gauge", "Searches and texts that wait to begin.")
        yield f"pairdex_queue_length {self.waiting}"

    def _counters(self) -> Iterator[str]:
        yield from _head("pairdex_requests_total", "counter", "Answered requests.")
        for (route, method, status), count in sorted(self._requests.items()):
            labels = f'route="{route}",method="{method}",status="{status}"'
            yield f"pairdex_requests_total{{{labels}}} {count}"
        yield from _head("pairdex_errors_total", "counter", "Answered errors by their code.")
        for code, count in sorted(self._errors.items()):
            yield f'pairdex_errors_total{{code="{code}"}} {count}'
        yield from _head("pairdex_cache_requests_total", "counter", "What was asked of caches.")
        for (name, result), count in sorted(self._caches.items()):
            yield f'pairdex_cache_requests_total{{cache="{name}",result="{result}"}} {count}'
        yield from _head("pairdex_reopened_total", "counter", "Collections opened anew: changed.")
        yield f"pairdex_reopened_total {self.reopened}"

    def _histograms(self) -> Iterator[str]:
        for name, label, meaning, found in (
            (
                "pairdex_request_seconds",
                "route",
                "Time from a request's head to its answer's end.",
                self._routes,
            ),
            (
                "pairdex_stage_seconds",
                "stage",
                "Time of a stage: of each search in the queue and when serialised, else of a batch.",
                self._stages,
            ),
            ("pairdex_batch_items", "stage", "Searches or texts done together.", self._batches),
        ):
            yield from _head(name, "histogram", meaning)
            for value, histogram in sorted(found.items()):
                yield from histogram.lines(name, f'{label}="{value}"')


class _Histogram:
    """Counts by upper bounds, as Prometheus has them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, label: str) -> Iterator[str]:
        """Yield its lines."""
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{label},le="{bound}"}} {total}'
        yield f"{name}_sum{{{label}}} {self._sum:.6f}"
        yield f"{name}_count{{{label}}} {total}"


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
