"""Builds a graph: the nearest rows of each row first, then edges, then edges again by walks, twice.

An interrupted build keeps its codes and tables of edges in the folder `NAME.building` beside the file. The next one does
only the short steps between them again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.files import atomic
from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.unfinished import read_note, write_note
from pairdex.graph_index.entries import (
    Directions,
    Entries,
    fit_directions,
    group_entries,
    spaced_nodes,
)
from pairdex.graph_index.file import NO_NODE, Header, Writer
from pairdex.graph_index.nodes import Copies, Edges, Nodes, find_copies
from pairdex.graph_index.parameters import Parameters
from pairdex.join.code_map import GRAPH_BOX
from pairdex.join.coded_rows import CodedRows, open_or_code_rows
from pairdex.join.neighbour_graph import graph_lists
from pairdex.progress import StepProgress
from pairdex.version import __version__

__all__ = ["BUILDING", "build"]

BUILDING = ".building"  # suffix of the folder that holds an unfinished build

_NEAR = 24  # nearest rows of each row among which the first edges are chosen
_PROBES, _CANDIDATES, _REFINEMENTS = 8, 72, 1  # of their search, as in `join.neighbour_graph`
_WALKS = 2  # times that all edges are chosen again by walks
_STEPS = 6 + _WALKS
_CHUNK_BYTES = 1 << 26

Blocks = Sequence[NDArray[np.float16]]


def build(
    blocks: Blocks,
    parts: list[str],
    path: Path,
    parameters: Parameters,
    *,
    threads: int = 1,
    progress: StepProgress | None = None,
) -> bool:
    """Write the graph of all rows. The same rows give the same file, whatever the threads.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays, one for each part.
    parts
        A checksum of each.
    progress
        Called with the number of steps done and of all steps.

    Returns
    -------
    bool
        False if no row has a direction: then there is no graph, and no file.

    Raises
    ------
    WriteFailed
        The file could not be written.
    """
    folder = path.with_name(f"{path.name}{BUILDING}")
    atomic.make_folder(folder)
    work = _Build(
        list(blocks), parts, folder, parameters=parameters, threads=threads, progress=progress
    )
    is_built = work.run(path)
    shutil.rmtree(folder, ignore_errors=True)
    return is_built


class _Build:
    def __init__(
        self,
        blocks: list[NDArray[np.float16]],
        parts: list[str],
        folder: Path,
        *,
        parameters: Parameters,
        threads: int,
        progress: StepProgress | None,
    ) -> None:
        self._blocks, self._parts, self._folder = blocks, parts, folder
        self._parameters, self._threads, self._progress = parameters, threads, progress
        self._plan = {"parts": parts, **vars(parameters), "version": __version__}
        self._done = 0

    def run(self, path: Path) -> bool:
        copies, firsts = find_copies(self._blocks, self._threads)
        self._advance()
        rows = open_or_code_rows(
            self._blocks,
            firsts,
            None,
            self._folder,
            plan=self._plan,
            threads=self._threads,
            lists=graph_lists(len(firsts)),
            box=GRAPH_BOX,
        )
        self._advance()
        if len(rows) == 0:
            return False
        nodes = Nodes(
            self._blocks,
            rows,
            copies,
            self._folder,
            parameters=self._parameters,
            threads=self._threads,
        )
        self._advance()
        entries, directions = self._connected(rows, nodes)
        self._write(path, copies, nodes, entries, directions)
        self._advance()
        return True

    def _connected(self, rows: CodedRows, nodes: Nodes) -> tuple[Entries, Directions]:
        """Give the nodes their edges; return where walks begin."""
        basis = rows.map.basis[:-1, : rows.map.dim]
        directions = fit_directions(np.ascontiguousarray(basis), seed=self._parameters.seed)
        edges = Edges(rows, nodes, self._parameters.degree, self._threads)
        near = self._kept(
            "near", (len(rows), _NEAR), lambda out: _find_near(rows, out, self._threads)
        )
        table = self._kept("edges0", edges.shape, lambda out: edges.among(near, out))
        nodes.write_edges(table)
        entries = self._entries(rows, nodes, table, directions)
        for number in range(1, _WALKS + 1):
            graph = _opened(self._blocks, nodes, entries, directions)
            make = partial(edges.by_walks, table, graph)
            table = self._kept(f"edges{number}", edges.shape, make)
            nodes.write_edges(table)
            entries = self._entries(rows, nodes, table, directions)
        return entries, directions

    def _entries(
        self,
        rows: CodedRows,
        nodes: Nodes,
        edges: NDArray[np.uint32],
        directions: Directions,
    ) -> Entries:
        some = spaced_nodes(len(rows))
        more = _native.graph_more_entries(edges, some)
        some = np.concatenate([some, more]).astype(np.uint32)
        return group_entries(nodes.rows_of(some, rows), directions)

    def _kept(
        self, name: str, shape: tuple[int, int], make: Callable[[NDArray[np.uint32]], None]
    ) -> NDArray[np.uint32]:
        """Return a table of node numbers that an earlier run made, or make it."""
        note = self._folder / f"{name}.json"
        record = read_note(note)
        if record is not None and record["plan"] == self._plan:
            self._advance()
            return map_array(self._folder / name, shape, np.uint32, mode="r+")
        table: NDArray[np.uint32] = new_array(self._folder / name, shape, np.uint32)
        table[:] = NO_NODE
        make(table)
        if isinstance(table, np.memmap):
            table.flush()
        write_note(note, {"plan": self._plan})
        self._advance()
        return table

    def _advance(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, _STEPS)

    def _write(
        self, path: Path, copies: Copies, nodes: Nodes, entries: Entries, directions: Directions
    ) -> None:
        header = Header(
            checksums={},
            rows=sum(map(len, self._blocks)),
            dim=int(self._blocks[0].shape[1]),
            parts=self._parts,
            degree=self._parameters.degree,
            seed=self._parameters.seed,
            nodes=nodes.count,
            copies=len(copies.ids),
            projected=len(directions.scales),
            groups=entries.groups,
            step=nodes.step,
            group_scale=entries.group_scale,
            entry_scale=entries.entry_scale,
            version=__version__,
        )
        with atomic.replacing(path) as file:
            writer = Writer(file, header)
            writer.add("mean", nodes.mean)
            writer.add("basis", directions.codes)
            writer.add("basis_scales", directions.scales)
            for name in (
                "group_codes",
                "group_biases",
                "entry_codes",
                "entry_biases",
                "entry_nodes",
            ):
                writer.add(name, getattr(entries, name))
            writer.add("copies", copies.ids)
            for first in range(0, len(nodes.bytes), _CHUNK_BYTES):
                writer.add("nodes", nodes.bytes[first : first + _CHUNK_BYTES])
            writer.finish()


def _find_near(rows: CodedRows, out: NDArray[np.uint32], threads: int) -> None:
    distances = np.full(out.shape, np.inf, np.float32)
    rows.native.graph_by_lists(
        out, distances, probes=_PROBES, candidates=_CANDIDATES, threads=threads, kernel=""
    )
    for _ in range(_REFINEMENTS):
        rows.native.refine_graph(out, distances, threads=threads, kernel="")


def _opened(
    blocks: list[NDArray[np.float16]], nodes: Nodes, entries: Entries, directions: Directions
) -> _native.Graph:
    return _native.Graph(
        blocks,
        nodes=nodes.bytes,
        degree=nodes.parameters.degree,
        mean=nodes.mean,
        seed=nodes.parameters.seed,
        step=nodes.step,
        basis=(directions.codes, directions.scales),
        groups=(entries.group_codes, entries.group_biases),
        group_scale=entries.group_scale,
        entries=(entries.entry_codes, entries.entry_biases),
        entry_scale=entries.entry_scale,
        entry_nodes=entries.entry_nodes,
        copies=nodes.copies,
    )
