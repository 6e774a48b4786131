"""The nodes of a graph while it is built: their rows, then the edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.files.mapped_arrays import new_array
from pairdex.graph_index.entries import NodeRows
from pairdex.graph_index.file import LARGEST, NO_NODE, ZERO, node_bytes
from pairdex.graph_index.parameters import Parameters, rotated_length
from pairdex.join.coded_rows import CodedRows
from pairdex.knn.code_basis import sample_rows

__all__ = ["Copies", "Edges", "Nodes", "find_copies"]

_VISITS, _GROUPS, _SEEDS = 64, 4, 4  # of the walks to each row
_SIGMAS = 5.0  # of a coordinate: what lies farther out is clamped
_HEAD_BYTES = 64

Blocks = Sequence[NDArray[np.float16]]


@dataclass(frozen=True)
class Copies:
    """Rows that equal an earlier one: one node stands for them.

    Attributes
    ----------
    ids
        The ids of those rows, those of one node together and ascending.
    of
        For each of them the id of the first row that it equals, ascending.
    """

    ids: NDArray[np.uint32]
    of: NDArray[np.uint32]


def find_copies(
    blocks: list[NDArray[np.float16]], threads: int
) -> tuple[Copies, NDArray[np.int64]]:
    """Return the rows that equal earlier ones, and the ids of the others, ascending."""
    first = _native.graph_first_equals(blocks, threads=threads)
    is_first = first == np.arange(len(first), dtype=np.uint32)
    ids = np.flatnonzero(~is_first).astype(np.uint32)
    order = np.argsort(first[ids], kind="stable")
    return Copies(ids[order], first[ids[order]]), np.flatnonzero(is_first)


class Nodes:
    """The nodes in a file of their own, their rows written."""

    def __init__(
        self,
        blocks: list[NDArray[np.float16]],
        rows: CodedRows,
        copies: Copies,
        folder: Path,
        *,
        parameters: Parameters,
        threads: int,
    ) -> None:
        self.parameters, self.count, self._threads = parameters, len(rows), threads
        self.dim = rows.map.dim
        self.copies = copies.ids
        self.mean = np.ascontiguousarray(rows.map.basis[-1, : self.dim])
        self.step = _step(blocks, self.mean)
        stride = node_bytes(self.dim, parameters.degree)
        self.bytes = new_array(folder / "nodes", (self.count * stride,), np.uint8)
        self._table = self.bytes.reshape(self.count, stride)
        ids = np.ascontiguousarray(rows.ids)
        _native.graph_write_rows(
            self.bytes,
            degree=parameters.degree,
            blocks=blocks,
            ids=ids,
            mean=self.mean,
            seed=parameters.seed,
            step=self.step,
            threads=threads,
            kernel="",
        )
        self._write_copies(copies, ids)

    def _write_copies(self, copies: Copies, ids: NDArray[np.uint32]) -> None:
        firsts = np.searchsorted(copies.of, ids, side="left").astype(np.uint32)
        counts = np.searchsorted(copies.of, ids, side="right").astype(np.uint32) - firsts
        self._table[:, 8:12] = firsts[:, None].view(np.uint8)
        self._table[:, 12:16] = counts[:, None].view(np.uint8)

    def write_edges(self, edges: NDArray[np.uint32]) -> None:
        """Write the neighbours of all nodes, (n, degree)."""
        _native.graph_write_edges(
            self.bytes, dim=self.dim, edges=edges, step=self.step, threads=self._threads, kernel=""
        )

    def rows_of(self, some: NDArray[np.uint32], rows: CodedRows) -> NodeRows:
        """Return the rows of some nodes, as they are stored."""
        stored = self._table[some]
        codes = stored[:, _HEAD_BYTES : _HEAD_BYTES + rotated_length(self.dim)]
        values = (codes.astype(np.float32) - ZERO) * np.float32(self.step)
        along_mean = np.ascontiguousarray(stored[:, :4]).view(np.float32)[:, 0]
        return NodeRows(some, values, along_mean, np.asarray(rows.small[some]))


class Edges:
    """Chooses edges among candidates, both ways."""

    def __init__(self, rows: CodedRows, nodes: Nodes, degree: int, threads: int) -> None:
        large = rows.large.shape[1] > 0
        self._codes = rows.large if large else rows.small.view(np.uint8) ^ np.uint8(ZERO)
        self._norms = rows.large_norms if large else rows.small_norms
        self._threads, self.shape = threads, (nodes.count, degree)

    def among(self, near: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
        """Choose edges among the nearest rows (n, k) of each row; write them to `out`, (n, degree)."""
        chosen, n_strict = self._empty()
        _native.graph_choose_edges(
            self._codes,
            self._norms,
            near=near,
            out=chosen,
            n_strict=n_strict,
            threads=self._threads,
            kernel="",
        )
        self._add_reverse(chosen, n_strict, out)

    def by_walks(
        self, edges: NDArray[np.uint32], graph: _native.Graph, out: NDArray[np.uint32]
    ) -> None:
        """Choose edges among those there are and the nodes that a walk to each node visits."""
        chosen, n_strict = self._empty()
        graph.choose_edges(
            self._codes,
            self._norms,
            near=edges,
            out=chosen,
            n_strict=n_strict,
            visits=_VISITS,
            groups=_GROUPS,
            seeds=_SEEDS,
            threads=self._threads,
            kernel="",
        )
        self._add_reverse(chosen, n_strict, out)

    def _empty(self) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        return np.full(self.shape, NO_NODE), np.zeros(self.shape[0], np.uint8)

    def _add_reverse(
        self, chosen: NDArray[np.uint32], n_strict: NDArray[np.uint8], out: NDArray[np.uint32]
    ) -> None:
        _native.graph_add_reverse(
            self._codes,
            self._norms,
            one_way=chosen,
            n_strict=n_strict,
            out=out,
            threads=self._threads,
            kernel="",
        )


def _step(blocks: Blocks, mean: NDArray[np.float32]) -> float:
    """Return what a whole number of a row stands for."""
    sample = sample_rows(blocks)
    squared = np.square(sample - mean).sum(axis=1).mean() if len(sample) else 0.0
    sigma = np.sqrt(squared / rotated_length(len(mean)))
    return float(np.float32(max(_SIGMAS * sigma / LARGEST, 1e-9)))
