"""Counts and times of the service for Prometheus, in a registry of its own for each application.

With several processes, each counts in files that they share. Whichever is asked answers for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from pairdex.service.catalogue import Catalogue
from pairdex.service.shared_metrics import WorkerFolder
from pairdex.version import __version__

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_SECONDS = (0.0001, 0.0005, *_REQUEST_SECONDS)
_BATCH_ITEMS = (1, 2, 4, 8, 16, 32, 64)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CREATED = "_created"  # of each series, when it began: it would double their number


class Metrics(Collector):
    """Counts since the application was made; worker threads count too.

    Parameters
    ----------
    processes
        Where several processes of one service share their counts.
    """

    def __init__(self, catalogue: Catalogue, processes: WorkerFolder | None = None) -> None:
        self._catalogue = catalogue
        self._processes = processes
        self._in_progress = 0
        self._waiting = 0
        registry = CollectorRegistry()
        self._shown = self._registry_to_show(registry)
        self._requests = Counter(
            "pairdex_requests_total",
            "Answered requests.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._errors = Counter(
            "pairdex_errors_total", "Error responses by code.", ["code"], registry=registry
        )
        self._caches = Counter(
            "pairdex_cache_requests_total",
            "Cache look-ups.",
            ["cache", "result"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "pairdex_request_seconds",
            "Time from the head of a request to the end of its response.",
            ["route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "pairdex_stage_seconds",
            "Time of a stage: of each search for queue and serialise, of a batch for the others.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._batch_items = Histogram(
            "pairdex_batch_items",
            "Searches or texts in a batch.",
            ["stage"],
            buckets=_BATCH_ITEMS,
            registry=registry,
        )
        self._in_progress_gauge = Gauge(
            "pairdex_requests_in_progress",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._waiting_gauge = Gauge(
            "pairdex_queue_length",
            "Searches and texts that wait to begin.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._reopened = Counter(
            "pairdex_reopened_total",
            "Times that a worker opened a collection again because it had changed.",
            registry=registry,
        )

    @property
    def in_progress(self) -> int:
        """Requests that this process is answering."""
        return self._in_progress

    @in_progress.setter
    def in_progress(self, requests: int) -> None:
        self._in_progress = requests
        self._in_progress_gauge.set(requests)

    @property
    def waiting(self) -> int:
        """Searches and texts of this process that wait for their batch to begin."""
        return self._waiting

    @waiting.setter
    def waiting(self, items: int) -> None:
        self._waiting = items
        self._waiting_gauge.set(items)

    def count_reopened(self) -> None:
        """Count that a collection was opened again because it had changed."""
        self._reopened.inc()

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(route, known, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def error(self, code: str) -> None:
        """Count an error response."""
        self._errors.labels(code).inc()

    def stage(self, stage: str, seconds: float) -> None:
        """Count the time of a stage of the work."""
        self._stage_seconds.labels(stage).observe(seconds)

    def batch(self, stage: str, waited: Sequence[float]) -> None:
        """Count a batch that begins, and how many seconds each of its items has waited."""
        self._batch_items.labels(stage).observe(len(waited))
        for seconds in waited:
            self._stage_seconds.labels("queue").observe(seconds)

    def cache(self, name: str, *, hit: bool) -> None:
        """Count a look-up in a cache."""
        self._caches.labels(name, "hit" if hit else "miss").inc()

    def text(self) -> str:
        """Return all of it in Prometheus' text format, version 0.0.4: the media type CONTENT_TYPE."""
        return generate_latest(_WithoutCreated(self._shown)).decode()

    def collect(self) -> Iterator[Metric]:
        """Yield what is known without counting."""
        info = GaugeMetricFamily("pairdex_info", "The running version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        rows = GaugeMetricFamily("pairdex_rows", "Rows of a collection.", labels=["collection"])
        up = GaugeMetricFamily(
            "pairdex_available",
            "1 if a collection can be served; 0 while its files are missing or damaged.",
            labels=["collection"],
        )
        for served in self._catalogue:
            is_available = self._catalogue.trouble(served.name) is None
            up.add_metric([served.name], is_available)
            if is_available:
                rows.add_metric([served.name], len(served.collection))
        yield rows
        yield up
        if self._processes is not None:
            yield from self._of_the_group(self._processes)

    def _of_the_group(self, processes: WorkerFolder) -> Iterator[Metric]:
        """Yield the number of workers, and memory, processor time and files of each."""
        families: dict[str, Metric] = {}
        numbered = list(processes.processes())
        for number, process_id in numbered:
            for family in ProcessCollector(pid=partial(int, process_id), registry=None).collect():
                known = families.setdefault(family.name, family)
                named = [_with_label(one, "worker", str(number)) for one in family.samples]
                known.samples = named if known is family else known.samples + named
        yield from families.values()
        yield GaugeMetricFamily("pairdex_workers", "Processes that answer.", len(numbered))
        yield CounterMetricFamily(
            "pairdex_worker_restarts_total",
            "Workers that died and were replaced.",
            processes.restarts(),
        )

    def describe(self) -> list[Metric]:
        """Return nothing: registering it collects nothing."""
        return []

    def _registry_to_show(self, counted: CollectorRegistry) -> CollectorRegistry:
        """Return the registry that a scrape reads: the counts of this process, or of all."""
        if self._processes is None:
            counted.register(self)
            ProcessCollector(registry=counted)
            return counted
        shown = CollectorRegistry()
        MultiProcessCollector(shown, str(self._processes.path))  # type: ignore[no-untyped-call]
        shown.register(self)
        return shown


def _with_label(sample: Sample, label: str, value: str) -> Sample:
    return sample._replace(labels=sample.labels | {label: value})


class _WithoutCreated(Collector):
    """A registry whose series do not say when they began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if not one.name.endswith(_CREATED)]
            yield metric
