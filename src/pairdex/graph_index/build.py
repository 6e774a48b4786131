"""Builds a graph: the nearest rows of each row first, then edges, then edges again by walks, twice.

An interrupted build keeps its codes and tables of edges in the folder `NAME.building` beside the file. The next one does
only the short steps between them again.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.files import atomic
from pairdex.files.mapped_arrays import new_array
from pairdex.graph_index.assembly import Indexed, opened, write
from pairdex.graph_index.edges import NEAR, Edges, find_near
from pairdex.graph_index.entries import Entries
from pairdex.graph_index.file import node_bytes
from pairdex.graph_index.nodes import Copies, Nodes, Space, find_copies, step_of
from pairdex.graph_index.parameters import Parameters
from pairdex.graph_index.steps import Steps
from pairdex.join.code_map import GRAPH_BOX
from pairdex.join.coded_rows import CodedRows, open_or_code_rows
from pairdex.join.neighbour_graph import graph_lists
from pairdex.progress import StepProgress

__all__ = ["BUILDING", "build", "code_rows"]

BUILDING = ".building"  # suffix of the folder that holds an unfinished build

_WALKS = 2  # times that all edges are chosen again by walks
_STEPS = 6 + _WALKS


def build(
    rows: Indexed,
    path: Path,
    parameters: Parameters,
    *,
    threads: int = 1,
    progress: StepProgress | None = None,
) -> bool:
    """Write the graph of all rows. The same rows give the same file, whatever the threads.

    Parameters
    ----------
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
    steps = Steps(folder, rows.plan | vars(parameters), _STEPS, progress)
    is_built = _Build(rows, steps, parameters, threads).run(path)
    shutil.rmtree(folder, ignore_errors=True)
    return is_built


def code_rows(
    blocks: list[NDArray[np.float16]], ids: NDArray[np.int64], steps: Steps, threads: int
) -> CodedRows:
    """Code rows for the search of their nearest ones, near rows side by side."""
    return open_or_code_rows(
        blocks,
        ids,
        None,
        steps.folder,
        plan=steps.plan,
        threads=threads,
        lists=graph_lists(len(ids)),
        box=GRAPH_BOX,
    )


class _Build:
    def __init__(self, rows: Indexed, steps: Steps, parameters: Parameters, threads: int) -> None:
        self._rows, self._steps = rows, steps
        self._parameters, self._threads = parameters, threads

    def run(self, path: Path) -> bool:
        copies, firsts = find_copies(self._rows.blocks, self._rows.left_out, self._threads)
        self._steps.advance()
        coded = code_rows(self._rows.blocks, firsts, self._steps, self._threads)
        self._steps.advance()
        if len(coded) == 0:
            return False
        nodes = self._nodes(coded, copies)
        self._steps.advance()
        entries = self._connect(coded, nodes)
        write(path, self._rows, nodes, copies, entries)
        self._steps.advance()
        return True

    def _nodes(self, coded: CodedRows, copies: Copies) -> Nodes:
        dim, degree = coded.map.dim, self._parameters.degree
        mean = np.ascontiguousarray(coded.map.basis[-1, :dim])
        space = Space(mean, step_of(self._rows.blocks, mean))
        size = len(coded) * node_bytes(dim, degree)
        content = new_array(self._steps.folder / "nodes", (size,), np.uint8)
        nodes = Nodes(content, space, self._parameters, threads=self._threads)
        nodes.write_rows(self._rows.blocks, coded.ids)
        nodes.write_copies(copies)
        return nodes

    def _connect(self, coded: CodedRows, nodes: Nodes) -> Entries:
        """Give the nodes their edges; return where walks begin."""
        edges = Edges(coded, self._parameters.degree, self._threads)
        near = self._steps.kept(
            "near", (len(coded), NEAR), lambda out: find_near(coded, out, self._threads)
        )
        table = self._steps.kept("edges0", edges.shape, lambda out: edges.among(near, out))
        nodes.write_edges(table)
        entries = nodes.entries(table)
        for number in range(1, _WALKS + 1):
            graph = opened(self._rows, nodes, entries)
            make = partial(edges.by_walks, table, graph)
            table = self._steps.kept(f"edges{number}", edges.shape, make)
            nodes.write_edges(table)
            entries = nodes.entries(table)
        return entries
