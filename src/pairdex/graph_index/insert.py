"""Inserts rows into a graph: each finds its neighbours among the new rows, and by walks among all.

The new nodes follow the old ones. An old node to which edges of new ones lead chooses its edges again among
all of them, so that ways lead from the old rows to the new ones. The graph is written aside and replaces
the old one at the end. An interrupted insertion keeps its tables like a build.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.files import atomic
from pairdex.files.mapped_arrays import new_array
from pairdex.graph_index.assembly import TABLES, Indexed, opened, write
from pairdex.graph_index.build import BUILDING, code_rows
from pairdex.graph_index.edges import NEAR, WALK, find_near, no_edges
from pairdex.graph_index.entries import Entries
from pairdex.graph_index.file import NO_NODE, GraphFile, node_bytes
from pairdex.graph_index.nodes import Nodes, Space, find_copies, step_of
from pairdex.graph_index.parameters import Parameters
from pairdex.graph_index.steps import Steps
from pairdex.join.coded_rows import CodedRows
from pairdex.progress import StepProgress

__all__ = ["begins_with", "can_insert", "insert"]

_MOST_GROWTH = 2.0  # of the rows: beyond it, a build costs little more and serves better
_WIDEST = 1.5  # times as far from the mean as the old rows: beyond it, whole numbers clamp too much
_STEPS = 6


def begins_with(rows: Indexed, old: GraphFile, parameters: Parameters) -> bool:
    """Return whether the first of `rows` are those of a graph, which has these parameters."""
    header, known = old.header, len(old.header.parts)
    return (
        rows.parts[:known] == header.parts
        and header.dim == rows.blocks[0].shape[1]
        and header.rows == sum(map(len, rows.blocks[:known]))
        and (header.degree, header.seed) == (parameters.degree, parameters.seed)
        and bool(np.isin(old.section("left_out"), rows.left_out).all())
    )


def can_insert(old: GraphFile, rows: Indexed, parameters: Parameters) -> bool:
    """Return whether `old` has enough of the first parts of `rows`, and the others are like them."""
    header = old.header
    if not begins_with(rows, old, parameters) or rows.count > header.rows * _MOST_GROWTH:
        return False
    added = rows.blocks[len(header.parts) :]
    return step_of(added, old.section("mean")) <= _WIDEST * header.step


def insert(
    old: GraphFile,
    rows: Indexed,
    path: Path,
    parameters: Parameters,
    *,
    threads: int = 1,
    progress: StepProgress | None = None,
) -> None:
    """Write the graph of all rows, of which `old` has the first ones (see `can_insert`).

    The same file and rows give the same file, whatever the threads.

    Raises
    ------
    WriteFailed
        The file could not be written.
    """
    folder = path.with_name(f"{path.name}{BUILDING}")
    atomic.make_folder(folder)
    steps = Steps(folder, rows.plan | {"of": old.seal}, _STEPS, progress)
    _Insertion(old, rows, steps, parameters, threads).run(path)
    shutil.rmtree(folder, ignore_errors=True)


class _Insertion:
    def __init__(
        self, old: GraphFile, rows: Indexed, steps: Steps, parameters: Parameters, threads: int
    ) -> None:
        header = old.header
        # Rows that were removed since stay: walks pass through them.
        new_left_out = rows.left_out[rows.left_out >= header.rows]
        left_out = np.concatenate([old.section("left_out"), new_left_out])
        self._old, self._steps = old, steps
        self._rows = replace(
            rows, left_out=left_out, inserted=header.inserted + rows.count - header.rows
        )
        self._parameters, self._threads = parameters, threads

    def run(self, path: Path) -> None:
        rows, first = self._rows, self._old.header.rows
        copies, firsts = find_copies(rows.blocks, rows.left_out, self._threads)
        self._steps.advance()
        added = rows.blocks[len(self._old.header.parts) :]
        coded = code_rows(added, firsts[firsts >= first] - first, self._steps, self._threads)
        self._steps.advance()
        nodes = self._nodes(coded.ids + np.uint32(first))
        nodes.write_copies(copies)
        self._steps.advance()
        entries = _entries_of(self._old)
        if len(coded):
            entries = self._connect(coded, nodes, entries)
        write(path, rows, nodes, copies, entries)
        self._steps.advance()

    def _nodes(self, ids: NDArray[np.uint32]) -> Nodes:
        """Return the old nodes, and after them those of new rows."""
        old = self._old.header
        content = np.asarray(self._old.section("nodes"))
        size = len(content) + len(ids) * node_bytes(old.dim, old.degree)
        both = new_array(self._steps.folder / "nodes", (size,), np.uint8)
        both[: len(content)] = content
        space = Space(np.array(self._old.section("mean")), old.step)
        nodes = Nodes(both, space, self._parameters, threads=self._threads)
        nodes.write_rows(self._rows.blocks, ids)
        return nodes

    def _connect(self, coded: CodedRows, nodes: Nodes, entries: Entries) -> Entries:
        """Give the new nodes their edges, and others edges to them; return where walks begin."""
        first, shape = np.uint32(self._old.header.nodes), (len(nodes), self._parameters.degree)
        near = self._steps.kept(
            "near", (len(coded), NEAR), lambda out: find_near(coded, out, self._threads)
        )
        near = np.where(near == NO_NODE, NO_NODE, near + first)
        make = partial(self._walk, nodes, opened(self._rows, nodes, entries), near)
        edges = self._steps.kept("edges", shape, make)
        nodes.write_edges(edges)
        return nodes.entries(edges)

    def _walk(
        self, nodes: Nodes, graph: _native.Graph, near: NDArray[np.uint32], out: NDArray[np.uint32]
    ) -> None:
        """Choose the edges of the new nodes among `near` and what walks visit; lead them back."""
        norms, first = nodes.norms(), len(nodes) - len(near)
        chosen, n_strict = no_edges((len(near), out.shape[1]))
        graph.choose_new_edges(
            norms,
            near=near,
            out=chosen,
            n_strict=n_strict,
            **WALK,
            threads=self._threads,
            kernel="",
        )
        out[:first] = nodes.edges()[:first]
        _native.graph_insert_reverse(
            nodes.bytes,
            dim=nodes.dim,
            norms=norms,
            one_way=chosen,
            n_strict=n_strict,
            edges=out,
            threads=self._threads,
            kernel="",
        )


def _entries_of(file: GraphFile) -> Entries:
    header = file.header
    return Entries(
        **{name: file.section(name) for name in TABLES},
        group_scale=header.group_scale,
        entry_scale=header.entry_scale,
        groups=header.groups,
    )
