"""Counts and times of requests, in the text format that Prometheus reads.

All is counted on the event loop's one thread, so no lock is needed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pairdex.service.catalogue import Catalogue
from pairdex.version import __version__

__all__ = ["CountRequests", "Metrics"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
_UNMATCHED = "unmatched"  # one name for all unknown paths: a scanner must not grow the memory
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What has been counted since the service began."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)
        self.in_progress = 0

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests[route, method if method in _METHODS else "OTHER", status] += 1
        bucket = next((i for i, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))
        self._buckets[route][bucket] += 1
        self._seconds[route] += seconds

    def text(self) -> str:
        """Return all of it in Prometheus' text format, version 0.0.4."""
        return "\n".join([*self._gauges(), *self._counters(), *self._histograms(), ""])

    def _gauges(self) -> Iterator[str]:
        yield from _head("pairdex_info", "gauge", "The running version.")
        yield f'pairdex_info{{version="{__version__}"}} 1'
        yield from _head("pairdex_rows", "gauge", "Rows of a collection.")
        for served in self._catalogue:
            yield f'pairdex_rows{{collection="{_escaped(served.name)}"}} {len(served.collection)}'
        yield from _head("pairdex_requests_in_progress", "gauge", "Requests being answered.")
        yield f"pairdex_requests_in_progress {self.in_progress}"

    def _counters(self) -> Iterator[str]:
        yield from _head("pairdex_requests_total", "counter", "Answered requests.")
        for (route, method, status), count in sorted(self._requests.items()):
            labels = f'route="{route}",method="{method}",status="{status}"'
            yield f"pairdex_requests_total{{{labels}}} {count}"

    def _histograms(self) -> Iterator[str]:
        name = "pairdex_request_seconds"
        yield from _head(name, "histogram", "Time from a request's head to its answer's end.")
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                yield f'{name}_bucket{{route="{route}",le="{bound}"}} {total}'
            yield f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}'
            yield f'{name}_count{{route="{route}"}} {total}'


class CountRequests:
    """Counts what passes through."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through and count its answer; without an answer it counts as a 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        self._metrics.in_progress += 1
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._metrics.in_progress -= 1
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            self._metrics.count(route, scope["method"], status, time.perf_counter() - started)


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
