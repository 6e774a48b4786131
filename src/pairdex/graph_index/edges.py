"""Chooses the edges of all nodes among candidates, both ways, by the codes of their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.graph_index.file import NO_NODE, ZERO
from pairdex.join.coded_rows import CodedRows

__all__ = ["NEAR", "WALK", "Edges", "find_near", "no_edges"]

NEAR = 24  # nearest rows of each row among which the first edges are chosen
WALK = {"visits": 64, "groups": 4, "seeds": 4}  # of the walks to each row
_PROBES, _CANDIDATES, _REFINEMENTS = 8, 72, 1  # of their search, as in `join.neighbour_graph`


def find_near(rows: CodedRows, out: NDArray[np.uint32], threads: int) -> None:
    """Fill a table (n, NEAR) with the nearest rows of each row."""
    distances = np.full(out.shape, np.inf, np.float32)
    rows.native.graph_by_lists(
        out, distances, probes=_PROBES, candidates=_CANDIDATES, threads=threads, kernel=""
    )
    for _ in range(_REFINEMENTS):
        rows.native.refine_graph(out, distances, threads=threads, kernel="")


def no_edges(shape: tuple[int, int]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Return a table (n, degree) without edges, and the number of strict ones of each node."""
    return np.full(shape, NO_NODE), np.zeros(shape[0], np.uint8)


class Edges:
    """The edges of all nodes."""

    def __init__(self, rows: CodedRows, degree: int, threads: int) -> None:
        large = rows.large.shape[1] > 0
        self._codes = rows.large if large else rows.small.view(np.uint8) ^ np.uint8(ZERO)
        self._norms = rows.large_norms if large else rows.small_norms
        self._threads, self.shape = threads, (len(rows), degree)

    def among(self, near: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
        """Choose edges among the nearest rows (n, k) of each row; write them to `out`, (n, degree)."""
        chosen, n_strict = no_edges(self.shape)
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
        chosen, n_strict = no_edges(self.shape)
        graph.choose_edges(
            self._codes,
            self._norms,
            near=edges,
            out=chosen,
            n_strict=n_strict,
            **WALK,
            threads=self._threads,
            kernel="",
        )
        self._add_reverse(chosen, n_strict, out)

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
