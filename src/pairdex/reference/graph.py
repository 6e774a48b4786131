"""The graph of the k nearest rows of every row, without itself: SISAP's tasks of 2025 and 2026."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.derived.codes import find_codes, open_or_build_codes
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import atomic, lock
from pairdex.files.hdf5_tables import TableWriter, Value
from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.neighbour_files import FIRST_ID
from pairdex.files.result_files import check_suffix, long_table
from pairdex.files.unfinished import read_note, write_note
from pairdex.join.code_map import GRAPH_BOX
from pairdex.join.coded_rows import open_or_code_rows
from pairdex.join.neighbour_graph import GraphTable, build_graph, graph_lists
from pairdex.knn import cosine
from pairdex.progress import Progress, at_step
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.work.processors import usable_processors

__all__ = ["DEFAULT_GRAPH_K", "DEFAULT_GRAPH_RECALL", "GraphReport", "graph"]

DEFAULT_GRAPH_K = 15
DEFAULT_GRAPH_RECALL = 0.9
MAX_GRAPH_K = 1000

_SAMPLE = 500  # rows whose true neighbours measure the recall
_SEED = 20220331
_ROWS_AT_ONCE = 1_000
_WRITTEN_AT_ONCE = 1 << 16
_SECONDS_BETWEEN_SAVES = 20.0
_MAX_H5_ROWS = np.iinfo(np.int32).max
_DONE = "graph.json"

Neighbours = tuple[NDArray[np.int64], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class GraphReport:
    """What was made.

    Attributes
    ----------
    rows, k
        Rows of the collection that have neighbours, and how many each.
    recall
        Share of the true k nearest rows found, measured on `recall_rows` rows drawn at random; rows as
        near as the k-th count as found. 1.0 if exact.
    recall_rows
        How many rows that is; 0 if exact.
    passes
        What was done: "exact", or "lists 8" (each row with the rows of 8 lists), "refine".
    """

    rows: int
    k: int
    recall: float
    recall_rows: int
    exact: bool
    passes: tuple[str, ...]
    seconds: float


@checked
def graph(
    collection: StrPath,
    out: StrPath,
    *,
    k: int = DEFAULT_GRAPH_K,
    on: VectorField = "image",
    recall: float = DEFAULT_GRAPH_RECALL,
    exact: bool = False,
    group: str | None = None,
    progress: Progress | None = None,
) -> GraphReport:
    """Write the k nearest rows of every row, without the row itself.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    out
        A file .h5 with `knns` and `dists` (rows, k), ids from 1, or .parquet with `query`, `rank`, `id`
        and `distance`. A removed row has no neighbours: 0 and infinity in HDF5.
    k
        Number of neighbours per row.
    on
        Vectors to compare: image or text.
    recall
        Work until a sample of the rows reaches this recall, or no pass is left: the report and the
        file say what was reached.
    exact
        Find the true neighbours, certified; the same call resumes a killed one.
    group
        An HDF5 group to write `knns` and `dists` in, such as `allknn`, the one of 2025's files.
    progress
        Called with the step, the amount done and the total.

    Raises
    ------
    PairdexError
        A wrong option; rows were removed meanwhile; a full disk.
    """
    started = time.perf_counter()
    store, target = Store(Path(collection)), Path(out)
    _check(store, target, k=k, recall=recall, on=on, group=group)
    checksum = store.checksum
    facts: dict[str, Any] = {"checksum": checksum, "k": k, "on": on, "version": __version__}
    with _scratch(target) as folder:
        rows = _Rows(store, on, folder)
        if exact:
            table: _ExactTable | GraphTable = _find_exactly(rows, k, facts, progress)
            reached, sample = 1.0, 0
            passes: tuple[str, ...] = ("exact",)
        else:
            table = _find_approximately(rows, k, recall, facts, progress)
            reached, sample = table.recall, min(_SAMPLE, len(rows.ids))
            passes = table.passes
        if store.checksum != checksum:
            raise Mismatch(
                f"rows were removed from {store.path} meanwhile: run the same command again"
            )
        report = GraphReport(
            len(rows.ids), k, reached, sample, exact, passes, time.perf_counter() - started
        )
        _write(target, rows, table, report, facts=facts, group=group)
        shutil.rmtree(folder)
    return report


def _check(
    store: Store, out: Path, *, k: int, recall: float, on: VectorField, group: str | None
) -> None:
    check_suffix(out)
    store.check_kind(on)
    if not 1 <= k <= MAX_GRAPH_K:
        raise InvalidArgument(f"k is {k:,}, expected 1 to {MAX_GRAPH_K:,}", field="k")
    if k >= store.live_rows:
        raise InvalidArgument(
            f"k is {k:,}, {store.path} has {store.live_rows:,} rows; a graph needs more rows than k",
            field="k",
        )
    if not 0 < recall <= 1:
        raise InvalidArgument(f"recall is {recall}, expected more than 0, up to 1", field="recall")
    if out.suffix == ".h5" and store.rows >= _MAX_H5_ROWS:
        raise InvalidArgument(
            f"{store.path} has {store.rows:,} rows, too many for int32: write .parquet", field="out"
        )
    if group is not None and (out.suffix != ".h5" or not group.isidentifier()):
        raise InvalidArgument(
            f"cannot write the group {group!r} to {out}: expected a name of letters and a file .h5",
            field="group",
        )


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    folder = out.with_name(f".{out.name}.graph")
    atomic.make_folder(folder)
    with lock.writing(folder):
        yield folder


class _Rows:
    """The rows of a graph, and the search for the true neighbours of some of them."""

    def __init__(self, store: Store, on: VectorField, folder: Path) -> None:
        self.store, self.on, self.folder = store, on, folder
        self.vectors = store.vectors(on)
        self.allowed = store.allowed()
        self.ids: NDArray[np.int64] = (
            np.arange(store.rows, dtype=np.int64)
            if self.allowed is None
            else np.flatnonzero(self.allowed)
        )
        self.codes = find_codes(store, on)

    def nearest(self, ids: NDArray[np.int64], k: int) -> Neighbours:
        """Return the true k nearest other rows of some rows."""
        found = cosine.nearest(
            self.vectors.blocks,
            self.vectors[ids].astype(np.float32),
            k + 1,
            allowed=self.allowed,
            codes=self.codes,
        )
        is_itself = found.ids == ids[:, None]
        is_itself[~is_itself.any(axis=1), -1] = True  # others are as near as the row itself
        shape = (len(ids), k)
        return found.ids[~is_itself].reshape(shape), found.distances[~is_itself].reshape(shape)


def _find_approximately(
    rows: _Rows, k: int, recall: float, facts: dict[str, Any], progress: Progress | None
) -> GraphTable:
    coded = open_or_code_rows(
        list(rows.vectors.blocks),
        rows.ids,
        None,
        rows.folder,
        plan=facts,
        lists=graph_lists(len(rows.ids)),
        box=GRAPH_BOX,
        threads=usable_processors(),
        progress=at_step(progress, "coding"),
    )
    rng = np.random.default_rng(_SEED)
    sample = np.sort(rng.choice(len(coded), min(_SAMPLE, len(coded)), replace=False))
    _, truth = rows.nearest(coded.ids[sample].astype(np.int64), k)

    def measure(table: GraphTable) -> float:
        _, found = table.neighbours(sample)
        # Distances are float32 in the table: one rounding of the k-th is allowed for.
        as_near = found <= truth[:, -1:] + np.spacing(np.float32(1))
        return float(np.mean(as_near))

    return build_graph(
        coded,
        k,
        rows.folder,
        recall=recall,
        measure=measure,
        threads=usable_processors(),
        on_pass=at_step(progress, "comparing"),
    )


@dataclass(frozen=True)
class _ExactTable:
    """True neighbours, by place among the rows of the graph."""

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]


def _find_exactly(
    rows: _Rows, k: int, facts: dict[str, Any], progress: Progress | None
) -> _ExactTable:
    rows.codes = open_or_build_codes(
        rows.store, rows.on, progress=at_step(progress, "making codes")
    )
    n, folder = len(rows.ids), rows.folder
    done = _recorded(folder, facts)
    make = map_array if done else new_array
    options: dict[str, Any] = {"mode": "r+"} if done else {}
    ids = make(folder / "exact_ids", (n, k), np.int64, **options)
    distances = make(folder / "exact_distances", (n, k), np.float64, **options)
    saved = time.monotonic()
    for first in range(done, n, _ROWS_AT_ONCE):
        part = slice(first, min(first + _ROWS_AT_ONCE, n))
        ids[part], distances[part] = rows.nearest(rows.ids[part], k)
        if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
            for array in (ids, distances):
                assert isinstance(array, np.memmap)
                array.flush()
            write_note(folder / _DONE, {"plan": facts, "done": part.stop})
            saved = time.monotonic()
        if progress:
            progress("searching", part.stop, n)
    return _ExactTable(ids, distances)


def _recorded(folder: Path, plan: dict[str, Any]) -> int:
    content = read_note(folder / _DONE)
    return content["done"] if content is not None and content["plan"] == plan else 0


def _blocks(
    rows: _Rows, table: _ExactTable | GraphTable, k: int
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the first id, ids (m, k), -1 for none, and distances of all rows, some at a time."""
    n = rows.store.rows
    places = np.full(n, -1, np.int64)  # of each id in the table
    own = rows.ids if isinstance(table, _ExactTable) else table.rows.ids.astype(np.int64)
    places[own] = np.arange(len(own))
    for first in range(0, n, _WRITTEN_AT_ONCE):
        here = places[first : first + _WRITTEN_AT_ONCE]
        ids = np.full((len(here), k), -1, np.int64)
        distances = np.full((len(here), k), np.inf, np.float32)
        has = here >= 0
        if isinstance(table, _ExactTable):
            ids[has], distances[has] = table.ids[here[has]], table.distances[here[has]]
        else:
            ids[has], distances[has] = table.neighbours(here[has])
        yield first, ids, distances


def _write(
    out: Path,
    rows: _Rows,
    table: _ExactTable | GraphTable,
    report: GraphReport,
    *,
    facts: dict[str, Any],
    group: str | None,
) -> None:
    blocks = _blocks(rows, table, report.k)
    if out.suffix == ".parquet":
        _write_parquet(out, blocks, {**facts, "recall": report.recall, "exact": report.exact})
        return
    params = f"k={report.k} on={rows.on} passes={','.join(report.passes)}"
    attributes: dict[str, Value] = {
        "algo": "pairdex graph",
        "task": "task1" if group is None else "task2",
        "dataset": rows.store.manifest.name,
        "buildtime": report.seconds,
        "querytime": 0.0,
        "params": params,
        "recall": report.recall,
        "recall_rows": report.recall_rows,
        "exact": report.exact,
        "threads": usable_processors(),
        "collection_checksum": facts["checksum"],
        "created_by": f"pairdex {__version__}",
    }
    prefix, shape = "" if group is None else f"{group}/", (rows.store.rows, report.k)
    tables = {f"{prefix}knns": (shape, np.int32), f"{prefix}dists": (shape, np.float32)}
    with atomic.replacing(out) as file:
        writer = TableWriter(
            file,
            tables,
            attributes=attributes,
            table_attributes={f"{prefix}knns": {FIRST_ID: 1}},
        )
        for first, ids, distances in blocks:
            writer.write(f"{prefix}knns", first, ids + 1)
            writer.write(f"{prefix}dists", first, distances)


def _write_parquet(
    out: Path,
    blocks: Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]],
    facts: dict[str, Any],
) -> None:
    schema = long_table(np.empty((0, 1), np.int64), np.empty((0, 1), np.float32)).schema
    schema = schema.with_metadata({"pairdex": json.dumps(facts)})
    with atomic.replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for first, ids, distances in blocks:
            table = long_table(ids, distances)
            query = pa.array(table["query"].to_numpy() + first)
            writer.write_table(table.set_column(0, "query", query).cast(schema))
