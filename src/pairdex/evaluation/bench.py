"""Benchmark every search method of a collection, with queries in one batch and one by one.

Each method first answers some queries untimed, so that its data is in memory. The batch time is the
median over the repetitions. It includes projecting the queries.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex import _native, search
from pairdex.arguments import StrPath, checked
from pairdex.derived.codes import find_codes
from pairdex.errors import InvalidArgument
from pairdex.evaluation.adapters import (
    Adapter,
    Task,
    check_limits,
    on_processors,
    prepare_vectors,
    prepared,
    read_adapter,
    run_adapter,
)
from pairdex.evaluation.evaluate import DEFAULT_K, Evaluation, evaluate
from pairdex.evaluation.limits import Limits
from pairdex.evaluation.methods import SearchMethod, search_methods
from pairdex.evaluation.provenance import algorithm, answered_by, facts_of, settings
from pairdex.evaluation.results import find_results
from pairdex.files import atomic
from pairdex.files.hdf5_tables import Value
from pairdex.files.neighbour_files import split_group
from pairdex.files.query_files import Queries, query_set
from pairdex.files.result_files import write_results
from pairdex.knn.cosine import Neighbours, Report
from pairdex.progress import Progress, at_step
from pairdex.reference.gold import DEFAULT_GOLD_K, write_gold
from pairdex.reference.read_gold import read_gold
from pairdex.store.store import Store, VectorField
from pairdex.wording import counted
from pairdex.work.processors import usable_processors
from pairdex.work.sizes import ByteSize, parse_size

__all__ = ["DEFAULT_REPEAT", "Bench", "Single", "bench"]

DEFAULT_REPEAT = 3
_WARM_UP_QUERIES = 10
_SINGLE_QUERIES = 200  # maximum number of single queries
_SINGLE_SECONDS = 10.0  # time limit of the single queries
_SINGLE_LEAST = 5  # minimum number of single queries

GOLD_NAME = "gold.h5"
# The others are projections, which are named by what they search.
_FROM_VECTORS = ("exact", "ivf", "graph")


@dataclass(frozen=True)
class Single:
    """Latencies of single queries, run one after another, in seconds.

    `answered_by` counts the queries by what answered them. A single query may be left to the exact
    search although the batch is not, and the reverse.
    """

    queries: int
    median: float
    p99: float
    answered_by: dict[str, int]


@dataclass(frozen=True)
class Bench:
    """The result of a benchmark.

    Attributes
    ----------
    evaluation
        Recall and speed of each method, all queries at once.
    single
        Single-query latencies of each run; None for adapters and containers, which answer batches.
    repeat
        Number of batch repetitions. The batch time is their median.
    threads, kernel
        Number of threads, and the kernels used.
    """

    evaluation: Evaluation
    single: list[Single | None]
    repeat: int
    threads: int
    kernel: str

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON-compatible values."""
        content = self.evaluation.as_json()
        for run, single in zip(content["runs"], self.single, strict=True):
            run["single"] = None if single is None else asdict(single)
        how = {"repeat": self.repeat, "threads": self.threads, "kernel": self.kernel}
        return {**content, **how}


@checked
def bench(
    collection: StrPath,
    queries: StrPath | ArrayLike,
    *,
    gold: StrPath | None = None,
    k: int = DEFAULT_K,
    on: VectorField = "image",
    out: StrPath | None = None,
    repeat: int = DEFAULT_REPEAT,
    run: StrPath | Iterable[StrPath] = (),
    container_results: StrPath | None = None,
    cpus: int | None = None,
    memory: ByteSize | None = None,
    python: StrPath | None = None,
    progress: Progress | None = None,
) -> Bench:
    """Search a collection by every available method, and compare the results with exact ones.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    queries
        Query vectors (n, dim), or a file of them, or `FILE:NAME`.
    gold
        The gold standard of the queries. None computes it.
    out
        A folder for SISAP's result files, `out`/NAME/ROWS/METHOD.h5, and for the gold standard,
        `out`/gold.h5, computed or copied.
    repeat
        Number of batch repetitions. The time is their median.
    run
        Adapters to measure too, `FILE.py` or `FILE.py:CLASS`: classes with the methods `fit`,
        `set_query_arguments` and `batch_query`, each run in a process of its own.
    container_results
        A folder of result files that containers wrote, to compare too.
    cpus
        Number of processors for every method. None: all of this process.
    memory
        Memory limit of each adapter: `24GB`, or bytes. None: no limit.
    python
        The interpreter that runs the adapters, which needs numpy but not pairdex. None: this one.
    progress
        Called with the step, the amount done and the total.
    k
        Number of neighbours per query.
    on
        Vectors to search: image or text.

    Raises
    ------
    PairdexError
        A query or an argument is invalid, the gold standard has other queries, an adapter fails, or
        the disk is full.
    """
    adapters = [read_adapter(one) for one in _several(run)]
    limits = Limits(
        cpus,
        None if memory is None else parse_size(memory),
        None if python is None else Path(python),
    )
    check_limits(limits, adapters)
    if container_results is not None:
        find_results([container_results])  # raises if there are none
    task = BenchTask(Store(Path(collection)), query_set(queries), k, on, repeat)
    task.check()
    if gold is not None:
        read_gold(gold, n=len(task.queries.vectors)).check_k(k)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="pairdex-bench-")))
        folder = scratch / "results" if out is None else Path(out)
        atomic.make_folder(folder)
        stack.enter_context(on_processors(cpus))
        threads = usable_processors()
        step = at_step(progress, "making codes")
        vectors = task.queries.vectors
        found = list(search_methods(task.store, on, vectors, k, progress=step))
        reference = task.have_gold(folder / GOLD_NAME, gold, progress)
        results: list[Path] = []
        single: list[Single | None] = []
        for number, method in enumerate(found):
            if progress:
                progress("measuring", number, len(found))
            results.append(task.write_result(folder, method))
            single.append(_measure_single(method, task.queries.vectors, k))
        results += task.run_adapters(adapters, folder, scratch, limits, progress)
        others = [] if container_results is None else [Path(container_results)]
        evaluation = evaluate([*results, *others], reference, k=k)
        single += [None] * (len(evaluation.runs) - len(single))
    return Bench(evaluation, single, repeat, threads, _native.kernels()[0])


def _several(run: StrPath | Iterable[StrPath]) -> list[StrPath]:
    return [run] if isinstance(run, (str, os.PathLike)) else list(run)


@dataclass(frozen=True)
class BenchTask:
    """The queries and the collection to search."""

    store: Store
    queries: Queries
    k: int
    on: VectorField
    repeat: int

    def check(self) -> None:
        """Check all arguments before any work starts."""
        self.store.check_kind(self.on)
        search.check_k(self.k)
        rows = self.store.live_rows
        if self.k > rows:
            raise InvalidArgument(
                f"k is {self.k:,}, {self.store.path} has {counted(rows, 'row')}: expected at most {rows:,}",
                field="k",
            )
        if self.repeat < 1:
            raise InvalidArgument(f"repeat is {self.repeat}, expected at least 1", field="repeat")
        if len(self.queries.vectors) == 0:
            raise InvalidArgument("there are no queries: nothing to measure", field="queries")

    def run_adapters(
        self,
        adapters: list[Adapter],
        folder: Path,
        scratch: Path,
        limits: Limits,
        progress: Progress | None,
    ) -> list[Path]:
        """Measure adapters one after another; return their result files."""
        if not adapters:
            return []
        path = scratch / "vectors.npy"
        ids = prepare_vectors(self.store, self.on, path)
        queries = prepared(self.store, self.queries.vectors)
        checksum = self.queries.checksum
        task = Task(self.store, self.on, path, ids, queries, checksum, self.k, self.repeat)
        results = []
        for number, adapter in enumerate(adapters):
            if progress:
                progress(f"running {adapter.label}", number, len(adapters))
            results += run_adapter(adapter, task, folder, scratch=scratch, limits=limits)
        return results

    def have_gold(self, path: Path, given: StrPath | None, progress: Progress | None) -> StrPath:
        """Return the gold standard, which lies in the folder whether it was given or is computed."""
        if given is None:
            return self._write_gold(path, progress)
        source, group = split_group(given)
        if group is None and not (path.exists() and source.samefile(path)):
            atomic.write_bytes(path, source.read_bytes())
        return given

    def _write_gold(self, path: Path, progress: Progress | None) -> Path:
        """Write more than k exact neighbours per query, so that ties at k are visible."""
        write_gold(
            self.store,
            self.queries,
            path,
            k=min(max(2 * self.k, DEFAULT_GOLD_K), self.store.live_rows),
            on=self.on,
            codes=find_codes(self.store, self.on),
            progress=at_step(progress, "gold"),
        )
        return path

    def write_result(self, folder: Path, method: SearchMethod) -> Path:
        """Search all queries in one batch and write a SISAP result file below `folder`."""
        found, seconds = self._measure_batch(method)
        name, rows, n = self.store.name, self.store.live_rows, len(found.ids)
        report, by = found.report, found.report.answered.by
        attributes: dict[str, Value] = {
            "data": name,
            "size": rows,
            "algo": algorithm(report.answered, n) + _variant(report),
            "querytime": seconds,
            "params": settings(report, n, k=self.k, on=self.on if by in _FROM_VECTORS else by),
        }
        buildtime = method.buildtime
        if by == "exact" and report.answered.asked is not None:
            buildtime = None  # the index did not answer
        if buildtime is not None:
            attributes["buildtime"] = buildtime
        about = {
            "collection_checksum": self.store.checksum,
            "queries_checksum": self.queries.checksum,
            "repeat": self.repeat,
            "kernel": _native.kernels()[0],
            **facts_of(report, n),
        }
        shown = np.where(found.ids < 0, np.float32(math.inf), found.distances.astype(np.float32))
        path = folder / name / str(rows) / f"{_stem(method, found)}.h5"
        atomic.make_folder(path.parent)
        write_results(
            path,
            found.ids,
            shown,
            attributes=attributes,
            about=about,
            answered_by=answered_by(report, n),
        )
        return path

    def _measure_batch(self, method: SearchMethod) -> tuple[Neighbours, float]:
        method.search(self.queries.vectors[:_WARM_UP_QUERIES], self.k)
        seconds = []
        for _ in range(self.repeat):
            started = time.perf_counter()
            found = method.search(self.queries.vectors, self.k)
            seconds.append(time.perf_counter() - started)
        return found, statistics.median(seconds)


def _variant(report: Report) -> str:
    """Distinguish the exact search without codes: it is another algorithm on every plot."""
    is_by_rows = report.answered.by == "exact" and not report.scanned
    return ", no codes" if is_by_rows else ""


def _stem(method: SearchMethod, found: Neighbours) -> str:
    """Return the name of a result file, which never names an index that did not answer."""
    answered = found.report.answered
    if answered.by == "exact" and answered.asked is not None:
        return f"exact-at-{answered.asked:g}"
    return method.name


def _measure_single(method: SearchMethod, vectors: NDArray[np.float32], k: int) -> Single:
    seconds: list[float] = []
    counts: dict[str, int] = {}
    for vector in vectors[:_SINGLE_QUERIES]:
        started = time.perf_counter()
        found = method.search(vector[None, :], k)
        for by, count in found.report.answered.counts(1).items():
            counts[by] = counts.get(by, 0) + count
        seconds.append(time.perf_counter() - started)
        if sum(seconds) > _SINGLE_SECONDS and len(seconds) >= _SINGLE_LEAST:
            break
    p99 = float(np.percentile(seconds, 99))
    return Single(len(seconds), statistics.median(seconds), p99, counts)
