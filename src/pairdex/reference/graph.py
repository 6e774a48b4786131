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

from pairdex.arguments import StrPath, checked
from pairdex.derived.projections.files import Projection
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import atomic, lock
from pairdex.files.hdf5_tables import TableWriter, Value
from pairdex.files.neighbour_files import FIRST_ID
from pairdex.files.result_files import check_suffix, long_table
from pairdex.join.code_map import GRAPH_BOX
from pairdex.join.coded_rows import open_or_code_rows
from pairdex.join.neighbour_graph import GraphTable, build_graph, graph_lists
from pairdex.progress import Progress, at_step
from pairdex.reference.graph_report import GraphBlock, Hub, Outlier, RowFacts, write_row_facts
from pairdex.reference.graph_rows import ExactTable, GraphRows, find_exactly
from pairdex.reference.measures import distance_of, rows_checksum
from pairdex.search import open_space
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.wording import counted
from pairdex.work.processors import usable_processors

__all__ = ["DEFAULT_GRAPH_K", "DEFAULT_GRAPH_RECALL", "GraphReport", "graph"]

DEFAULT_GRAPH_K = 15
DEFAULT_GRAPH_RECALL = 0.9
MAX_GRAPH_K = 1000

_SAMPLE = 500  # rows whose true neighbours measure the recall
_SEED = 20220331
_WRITTEN_AT_ONCE = 1 << 16
_MAX_H5_ROWS = np.iinfo(np.int32).max


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
    outliers
        The ten rows that are farthest from the row nearest to them, the farthest first.
    hubs
        The ten rows that most rows have among their neighbours, the largest number first.
    """

    rows: int
    k: int
    recall: float
    recall_rows: int
    exact: bool
    passes: tuple[str, ...]
    outliers: tuple[Outlier, ...]
    hubs: tuple[Hub, ...]
    seconds: float


@checked
def graph(
    collection: StrPath,
    out: StrPath,
    *,
    k: int = DEFAULT_GRAPH_K,
    on: str = "image",
    recall: float = DEFAULT_GRAPH_RECALL,
    exact: bool = False,
    group: str | None = None,
    report: StrPath | None = None,
    cluster: str | None = None,
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
        Vectors to compare: image or text, by 1 - cos; or a projection, by its own distance. A graph
        in a projection is always exact.
    recall
        Work until a sample of the rows reaches this recall, or no pass is left: the report and the
        file say what was reached.
    exact
        Find the true neighbours, certified; the same call resumes a killed one.
    group
        An HDF5 group to write `knns` and `dists` in, such as `allknn`, the one of 2025's files.
    report
        A Parquet file to write, for outliers and hubs: `id`, the distances to the `nearest` and to the
        `farthest` of its k neighbours, and of how many rows it is a neighbour (`neighbour_of`).
    cluster
        The address of a Ray cluster (host:port) whose nodes find the true neighbours, or `auto`. All nodes must
        see the collection's folder. Codes are built here.
    progress
        Called with the step, the amount done and the total.

    Raises
    ------
    PairdexError
        A wrong option; rows were removed meanwhile; a full disk.
    """
    started = time.perf_counter()
    store, target = Store(Path(collection)), Path(out)
    space = _check(store, target, k=k, recall=recall, on=on, group=group)
    of_rows = None if report is None else Path(report)
    if of_rows is not None and of_rows.suffix != ".parquet":
        raise InvalidArgument(
            f"cannot write a report to {report}: expected a name that ends in .parquet",
            field="report",
        )
    exact = exact or isinstance(space, Projection)
    if cluster is not None and not exact:
        raise InvalidArgument(
            "nodes of a cluster find the true neighbours, and an approximate graph is made in passes over one "
            "table; ask for an exact graph, or leave out cluster",
            field="cluster",
        )
    checksum = store.checksum
    facts: dict[str, Any] = {"checksum": checksum, "k": k, "on": on, "version": __version__}
    with _scratch(target) as folder:
        rows = GraphRows(store, space, folder)
        if exact:
            rows.make_codes(progress)
            table: ExactTable | GraphTable = find_exactly(rows, k, facts, progress, cluster=cluster)
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
        made = _Made(reached, sample, exact, passes, started)
        row_facts = RowFacts(store.rows)
        _write(target, rows, row_facts.watch(_blocks(rows, table, k)), made, facts, group=group)
        if of_rows is not None:
            write_row_facts(of_rows, row_facts, {**facts, "recall": reached, "exact": exact})
        shutil.rmtree(folder)
    return GraphReport(
        len(rows.ids),
        k,
        reached,
        sample,
        exact,
        passes,
        row_facts.outliers,
        row_facts.hubs,
        time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Made:
    """How the graph was found, for its file."""

    recall: float
    recall_rows: int
    exact: bool
    passes: tuple[str, ...]
    started: float


def _check(
    store: Store, out: Path, *, k: int, recall: float, on: str, group: str | None
) -> VectorField | Projection:
    check_suffix(out)
    store.check_cosine("a graph of all rows")
    space = open_space(store, on)
    if not 1 <= k <= MAX_GRAPH_K:
        raise InvalidArgument(f"k is {k:,}, expected 1 to {MAX_GRAPH_K:,}", field="k")
    if k >= store.live_rows:
        raise InvalidArgument(
            f"k is {k:,}, {store.path} has {counted(store.live_rows, 'row')}; a graph needs more rows than k",
            field="k",
        )
    if not 0 < recall <= 1:
        raise InvalidArgument(f"recall is {recall}, expected more than 0, up to 1", field="recall")
    if out.suffix == ".h5" and store.rows >= _MAX_H5_ROWS:
        raise InvalidArgument(
            f"{store.path} has {counted(store.rows, 'row')}, too many for int32: write .parquet",
            field="out",
        )
    if group is not None and (out.suffix != ".h5" or not group.isidentifier()):
        raise InvalidArgument(
            f"cannot write the group {group!r} to {out}: expected a name of letters and a file .h5",
            field="group",
        )
    return space


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    folder = out.with_name(f".{out.name}.graph")
    atomic.make_folder(folder)
    with lock.writing(folder):
        yield folder


def _find_approximately(
    rows: GraphRows, k: int, recall: float, facts: dict[str, Any], progress: Progress | None
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


def _blocks(rows: GraphRows, table: ExactTable | GraphTable, k: int) -> Iterator[GraphBlock]:
    """Yield the graph, some rows at a time."""
    n = rows.store.rows
    places = np.full(n, -1, np.int64)  # of each id in the table
    own = rows.ids if isinstance(table, ExactTable) else table.rows.ids.astype(np.int64)
    places[own] = np.arange(len(own))
    for first in range(0, n, _WRITTEN_AT_ONCE):
        here = places[first : first + _WRITTEN_AT_ONCE]
        ids = np.full((len(here), k), -1, np.int64)
        distances = np.full((len(here), k), np.inf, np.float32)
        has = here >= 0
        if isinstance(table, ExactTable):
            ids[has], distances[has] = table.ids[here[has]], table.distances[here[has]]
        else:
            ids[has], distances[has] = table.neighbours(here[has])
        yield first, ids, distances


def _write(
    out: Path,
    rows: GraphRows,
    blocks: Iterator[GraphBlock],
    made: _Made,
    facts: dict[str, Any],
    *,
    group: str | None,
) -> None:
    k = facts["k"]
    if out.suffix == ".parquet":
        _write_parquet(out, blocks, {**facts, "recall": made.recall, "exact": made.exact})
        return
    params = f"k={k} on={rows.on} passes={','.join(made.passes)}"
    attributes: dict[str, Value] = {
        "algo": "pairdex graph",
        "task": "task1" if group is None else "task2",
        "dataset": rows.store.name,
        "buildtime": time.perf_counter() - made.started,
        "querytime": 0.0,
        "params": params,
        "recall": made.recall,
        "recall_rows": made.recall_rows,
        "exact": made.exact,
        "threads": usable_processors(),
        "distance": distance_of(rows.store, rows.space),
        "collection_checksum": facts["checksum"],
        "queries_checksum": rows_checksum(rows.store),
        "created_by": f"pairdex {__version__}",
    }
    prefix, shape = "" if group is None else f"{group}/", (rows.store.rows, k)
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
    blocks: Iterator[GraphBlock],
    facts: dict[str, Any],
) -> None:
    schema = long_table(np.empty((0, 1), np.int64), np.empty((0, 1), np.float32)).schema
    schema = schema.with_metadata({"pairdex": json.dumps(facts)})
    with atomic.replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for first, ids, distances in blocks:
            table = long_table(ids, distances)
            query = pa.array(table["query"].to_numpy() + first)
            writer.write_table(table.set_column(0, "query", query).cast(schema))
