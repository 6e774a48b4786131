"""The nodes of a graph while it is made: their rows, then the edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.graph_index.entries import Entries, NodeRows, group_entries, spaced_nodes
from pairdex.graph_index.file import LARGEST, NO_NODE, ZERO, node_bytes
from pairdex.graph_index.parameters import Parameters, rotated_length
from pairdex.knn.code_basis import sample_rows

__all__ = ["Copies", "Nodes", "Space", "find_copies", "step_of"]

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
    blocks: list[NDArray[np.float16]], left_out: NDArray[np.uint32], threads: int
) -> tuple[Copies, NDArray[np.int64]]:
    """Return the rows that equal earlier ones, and the ids of the others, ascending; none of `left_out`."""
    first = _native.graph_first_equals(blocks, threads=threads)
    kept = np.delete(np.arange(len(first), dtype=np.uint32), left_out)
    _, at, group = np.unique(first[kept], return_index=True, return_inverse=True)
    first_kept = kept[at][group]
    is_first = first_kept == kept
    ids, of = kept[~is_first], first_kept[~is_first]
    order = np.argsort(of, kind="stable")
    return Copies(ids[order], of[order]), kept[is_first].astype(np.int64)


@dataclass(frozen=True)
class Space:
    """How rows become whole numbers.

    Attributes
    ----------
    mean
        (dim,) float32, subtracted from rows of unit length.
    step
        What a whole number stands for.
    """

    mean: NDArray[np.float32]
    step: float


class Nodes:
    """Nodes in memory.

    Parameters
    ----------
    content
        Bytes of the nodes, one after another.
    """

    def __init__(
        self, content: NDArray[np.uint8], space: Space, parameters: Parameters, *, threads: int
    ) -> None:
        self.bytes, self.space, self.parameters, self._threads = content, space, parameters, threads
        self.dim = len(space.mean)
        self._table = content.reshape(-1, node_bytes(self.dim, parameters.degree))

    def __len__(self) -> int:
        return len(self._table)

    @property
    def ids(self) -> NDArray[np.uint32]:
        """The id of each node's row."""
        return np.ascontiguousarray(self._table[:, 4:8]).view(np.uint32)[:, 0]

    def write_rows(self, blocks: list[NDArray[np.float16]], ids: NDArray[np.uint32]) -> None:
        """Write the rows of the last nodes, whose ids are given."""
        if not len(ids):
            return
        _native.graph_write_rows(
            self._table[len(self) - len(ids) :].reshape(-1),
            degree=self.parameters.degree,
            blocks=blocks,
            ids=np.ascontiguousarray(ids),
            mean=self.space.mean,
            seed=self.parameters.seed,
            step=self.space.step,
            threads=self._threads,
            kernel="",
        )

    def write_copies(self, copies: Copies) -> None:
        """Write which rows equal those of the nodes."""
        ids = self.ids
        firsts = np.searchsorted(copies.of, ids, side="left").astype(np.uint32)
        counts = np.searchsorted(copies.of, ids, side="right").astype(np.uint32) - firsts
        self._table[:, 8:12] = firsts[:, None].view(np.uint8)
        self._table[:, 12:16] = counts[:, None].view(np.uint8)

    def edges(self) -> NDArray[np.uint32]:
        """Return the neighbours of all nodes, (n, degree)."""
        return np.ascontiguousarray(self._table[:, -4 * self.parameters.degree :]).view(np.uint32)

    def write_edges(self, edges: NDArray[np.uint32]) -> None:
        """Write the neighbours of all nodes, (n, degree), where they differ from those there are."""
        _native.graph_write_edges(
            self.bytes,
            dim=self.dim,
            edges=edges,
            step=self.space.step,
            threads=self._threads,
            kernel="",
        )

    def take_away(self, gone: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Cut all edges from and to some nodes; return those that are left."""
        is_gone = np.zeros(len(self), np.bool_)
        is_gone[gone] = True
        edges = self.edges()
        edges[gone] = NO_NODE
        at = np.flatnonzero(edges != NO_NODE)
        edges.reshape(-1)[at[is_gone[edges.reshape(-1)[at]]]] = NO_NODE
        self.write_edges(edges)
        return edges

    def norms(self) -> NDArray[np.int32]:
        """Return the squared length of each row, in whole numbers."""
        return _native.graph_row_norms(
            self.bytes, dim=self.dim, degree=self.parameters.degree, threads=self._threads
        )

    def entries(self, edges: NDArray[np.uint32]) -> Entries:
        """Return where walks begin, so that they reach all nodes."""
        some = spaced_nodes(len(self))
        more = _native.graph_more_entries(edges, some)
        return group_entries(self._rows_of(np.concatenate([some, more]).astype(np.uint32)))

    def _rows_of(self, some: NDArray[np.uint32]) -> NodeRows:
        """Return the rows of some nodes, as they are stored."""
        stored = self._table[some]
        codes = stored[:, _HEAD_BYTES : _HEAD_BYTES + rotated_length(self.dim)]
        values = (codes.astype(np.float32) - ZERO) * np.float32(self.space.step)
        along_mean = np.ascontiguousarray(stored[:, :4]).view(np.float32)[:, 0]
        return NodeRows(some, values, along_mean)


def step_of(blocks: Blocks, mean: NDArray[np.float32]) -> float:
    """Return what a whole number of these rows should stand for."""
    sample = sample_rows(blocks)
    squared = np.square(sample - mean).sum(axis=1).mean() if len(sample) else 0.0
    sigma = np.sqrt(squared / rotated_length(len(mean)))
    return float(np.float32(max(_SIGMAS * sigma / LARGEST, 1e-9)))
