"""Measure anyone's search algorithm as the collection's own: in a process of its own, under limits.

An adapter is a Python class with three methods, as ann-benchmarks has them: `fit(vectors)`,
`set_query_arguments(*arguments)` and `batch_query(queries, k)`.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import search
from pairdex.arguments import StrPath
from pairdex.errors import AdapterFailed, DamagedFile, InvalidArgument, MissingFile
from pairdex.evaluation import adapter_process
from pairdex.evaluation.limits import Limits, control_group
from pairdex.files import checksums
from pairdex.files.hdf5_tables import Value
from pairdex.files.neighbour_files import split_group
from pairdex.files.result_files import write_results
from pairdex.knn.distance import normalise
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.work.machine import machine

__all__ = [
    "Adapter",
    "Task",
    "check_limits",
    "on_processors",
    "prepare_vectors",
    "read_adapter",
    "run_adapter",
]

_BLOCK = 65_536  # rows normalised at once


@dataclass(frozen=True)
class Adapter:
    """A file with an adapter, and the name of its class if the file has several."""

    path: Path
    name: str | None

    @property
    def label(self) -> str:
        """What results call the algorithm."""
        return self.name or self.path.stem


@dataclass(frozen=True)
class Task:
    """What an adapter is measured on.

    Attributes
    ----------
    vectors
        A .npy file of the rows that are not removed, (rows, dim) float32 of length 1.
    ids
        (rows,) their ids.
    queries
        (n, dim) float32 of length 1.
    """

    store: Store
    on: VectorField
    vectors: Path
    ids: NDArray[np.int64]
    queries: NDArray[np.float32]
    queries_checksum: str
    k: int
    repeat: int


def read_adapter(source: StrPath) -> Adapter:
    """Return the adapter that `FILE.py` or `FILE.py:CLASS` names.

    Raises
    ------
    MissingFile, InvalidArgument
        No such file; not a Python file.
    """
    path, name = split_group(source)
    if path.suffix != ".py":
        raise InvalidArgument(f"{source} is not an adapter: expected FILE.py", field="run")
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a Python file with an adapter")
    return Adapter(path, name)


def prepare_vectors(store: Store, on: VectorField, path: Path) -> NDArray[np.int64]:
    """Write the rows that are not removed, normalised, to a .npy file; return their ids."""
    allowed = store.allowed()
    ids = np.arange(store.rows) if allowed is None else np.flatnonzero(allowed)
    view = store.vectors(on)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (len(ids), store.dim))
    for first in range(0, len(ids), _BLOCK):
        rows[first : first + _BLOCK] = normalise(view[ids[first : first + _BLOCK]])
    rows.flush()
    return ids.astype(np.int64)


def run_adapter(
    adapter: Adapter, task: Task, folder: Path, *, scratch: Path, limits: Limits
) -> list[Path]:
    """Measure an adapter and write one result file for each of its query arguments.

    Raises
    ------
    AdapterFailed
        It stopped with an error, or needed more memory.
    DamagedFile
        It returned something else than ids (n, k).
    """
    work = scratch / f"adapter-{len(list(scratch.iterdir()))}"
    work.mkdir()
    np.save(work / "queries.npy", task.queries)
    with control_group(limits) as group:
        job = {
            "adapter": str(adapter.path.resolve()),
            "name": adapter.name,
            "vectors": str(task.vectors),
            "queries": str(work / "queries.npy"),
            "folder": str(work),
            "report": str(work / "report.jsonl"),
            "k": task.k,
            "repeat": task.repeat,
            "cpus": limits.cpus,
            "memory_bytes": limits.memory_bytes,
            "limited_by": "cgroup" if group is not None else "rlimit",
        }
        (work / "job.json").write_text(json.dumps(job))
        _run(adapter, work / "job.json", limits, group)
    steps = [json.loads(line) for line in (work / "report.jsonl").read_text().splitlines()]
    fit, queries = steps[0], steps[1:]
    label = fit["name"] or adapter.label
    limited_by = str(job["limited_by"]) if limits.memory_bytes else "none"
    paths = []
    for step in queries:
        ids = _ids_of(adapter, np.load(work / f"{step['number']}.npy", allow_pickle=False), task)
        about = {**_facts(adapter, task, limits), "version": fit["version"], "answered_by": label}
        about |= {"memory_limited_by": limited_by, "peak_memory_bytes": step["peak_memory_bytes"]}
        params = " ".join(filter(None, [f"k={task.k} on={task.on}", step["params"]]))
        attributes: dict[str, Value] = {
            "data": task.store.name,
            "size": task.store.live_rows,
            "algo": label,
            "buildtime": fit["seconds"],
            "querytime": statistics.median(step["times"]),
            "params": params,
        }
        path = folder / task.store.name / str(task.store.live_rows)
        path /= f"{re.sub(r'[^A-Za-z0-9._-]+', '-', label)}-{step['number']}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        distances = _distances(task, ids)
        write_results(path, ids, distances, attributes=attributes, about=about)
        paths.append(path)
    return paths


def _run(adapter: Adapter, job: Path, limits: Limits, group: Path | None) -> None:
    threads = str(limits.cpus or os.cpu_count() or 1)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    environment["MKL_NUM_THREADS"] = threads
    script = str(Path(adapter_process.__file__))
    command = [str(limits.python or sys.executable), script, str(job)]
    if group is not None:  # the shell enters the group, and becomes the adapter
        enter = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
        command = ["/bin/sh", "-c", enter, "sh", str(group), *command]
    ended = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if ended.returncode == 0:
        return
    lines = ended.stdout.decode(errors="replace").strip().splitlines()
    said = lines[-1].strip() if lines else f"exit status {ended.returncode}"
    is_memory = "MemoryError" in said or "bad_alloc" in said or ended.returncode == -9
    more = ""
    if is_memory and limits.memory_bytes:
        more = f": it was limited to {limits.memory_bytes:,} bytes of memory"
    raise AdapterFailed(f"{adapter.path} stopped with {said}{more}")


def _facts(adapter: Adapter, task: Task, limits: Limits) -> dict[str, Value]:
    return {
        "collection_checksum": task.store.checksum,
        "queries_checksum": task.queries_checksum,
        "adapter_checksum": checksums.of_bytes(adapter.path.read_bytes()),
        "repeat": task.repeat,
        "threads": limits.cpus or os.cpu_count() or 1,
        "memory_limit_bytes": limits.memory_bytes or 0,
        "machine": machine(),
        "created_by": f"pairdex {__version__}",
    }


def _ids_of(adapter: Adapter, found: NDArray[Any], task: Task) -> NDArray[np.int64]:
    """Return ids of the collection for the places that an adapter found."""
    expected = (len(task.queries), task.k)
    if found.shape != expected or found.dtype.kind not in "iu":
        raise DamagedFile(
            f"{adapter.path} returned {found.dtype} of shape {found.shape} from batch_query, "
            f"expected integers {expected}"
        )
    places = found.astype(np.int64)
    if places.max(initial=-1) >= len(task.ids) or places.min(initial=0) < -1:
        raise DamagedFile(
            f"{adapter.path} returned row numbers from {places.min():,} to {places.max():,}, expected "
            f"0 to {len(task.ids) - 1:,}, or -1 for none"
        )
    return np.where(places < 0, np.int64(-1), task.ids[places])


def _distances(task: Task, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the distances of what was found, computed here: 1 - cos of the stored vectors."""
    distances = np.full(ids.shape, np.inf, np.float32)
    for number, query in enumerate(task.queries):
        found = ids[number] >= 0
        cosines = search.similarities(task.store, task.on, query, ids[number][found])
        distances[number, found] = 1 - cosines
    return distances


@contextmanager
def on_processors(cpus: int | None) -> Iterator[None]:
    """Let this thread, and those it starts, use only some of its processors."""
    if cpus is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cpus])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def check_limits(limits: Limits, adapters: Sequence[Adapter]) -> None:
    """Raise InvalidArgument if a limit is out of range or has nothing to limit."""
    if limits.cpus is not None and not 1 <= limits.cpus <= len(_usable()):
        raise InvalidArgument(
            f"cpus is {limits.cpus}, expected 1 to {len(_usable())}, those of this process",
            field="cpus",
        )
    if not adapters and (limits.memory_bytes or limits.python):
        raise InvalidArgument(
            "a limit of memory or a Python is of an adapter: add --run", field="run"
        )


def _usable() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
