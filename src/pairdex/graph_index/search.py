"""Searches a graph: walks from row to row towards the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import DamagedFile, Mismatch
from pairdex.graph_index.edges import WALK
from pairdex.graph_index.efforts import GraphEffort, GraphPoints, compared_rows, read_points
from pairdex.graph_index.file import NO_NODE, REMEDY, GraphFile, node_bytes
from pairdex.graph_index.nodes import Nodes, Space
from pairdex.graph_index.parameters import Parameters
from pairdex.ivf.efforts import points_path
from pairdex.knn.cosine import Neighbours, Report
from pairdex.wording import counted
from pairdex.work.processors import usable_processors

__all__ = ["WalkedGraph", "open_graph"]

_GROUPS, _SEEDS = 8, 8  # of entries: groups that are looked at, and nodes where walks begin


class WalkedGraph:
    """An opened graph with the rows that it indexes.

    Parameters
    ----------
    file
        The graph of exactly these rows.
    blocks
        C-contiguous (rows, dim) float16 arrays, usually memory maps.
    changed
        Sections instead of those of the file.
    """

    def __init__(
        self,
        file: GraphFile,
        blocks: Sequence[NDArray[np.float16]],
        changed: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.file, self._blocks = file, blocks
        try:
            self._native = _opened(file, blocks, changed or {})
        except (TypeError, ValueError) as error:  # TypeError: a negative number
            raise DamagedFile(f"{file.path} is damaged ({error}): {REMEDY}") from error

    @property
    def rows(self) -> int:
        """Number of indexed rows."""
        return self.file.header.rows

    def nodes_of(self, ids: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the node of each row (n,), for rows that have one of their own: others have none."""
        header = self.file.header
        stride = node_bytes(header.dim, header.degree)
        heads = np.ascontiguousarray(self.file.section("nodes").reshape(-1, stride)[:, 4:16])
        row_ids, _, copies = heads.view(np.uint32).T
        nodes = np.full(self.rows, NO_NODE)
        alone = np.flatnonzero(copies == 0)
        nodes[row_ids[alone]] = alone
        return nodes[ids]

    def without(self, gone: NDArray[np.uint32]) -> WalkedGraph:
        """Return the graph as it would be without some nodes.

        The nodes that had them as neighbours have others instead, which they find by walks as when the graph
        was built. What differs from the file is in memory: about as many nodes as a node has neighbours, for
        each that is gone.
        """
        header, section = self.file.header, self.file.section
        nodes = Nodes(
            self.file.private_section("nodes"),
            Space(np.array(section("mean")), header.step),
            Parameters(header.degree, header.seed),
            threads=usable_processors(),
        )
        edges = nodes.take_away(gone)
        biases = np.array(section("entry_biases"))
        biases[np.isin(section("entry_nodes"), gone)] = -np.inf
        found = WalkedGraph(self.file, self._blocks, {"nodes": nodes.bytes, "entry_biases": biases})
        found._native.refill(
            nodes.norms(), edges=edges, **WALK, threads=usable_processors(), kernel=""
        )
        nodes.write_edges(edges)
        return found

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        effort: GraphEffort,
        *,
        allowed: NDArray[np.bool_] | None = None,
        threads: int | None = None,
        kernel: str | None = None,
    ) -> Neighbours:
        """Find the k nearest rows of each query, approximately.

        Parameters
        ----------
        queries
            (n, dim) float32, C-contiguous, each with a direction.
        allowed
            (rows,): only rows where it is true are found. A walk then goes on until it has visited as
            many allowed nodes as it would visit without a filter.

        Returns
        -------
        Neighbours
            Distances of the vectors as stored, in float64. Fewer than k rows if the walk met no more.

        Raises
        ------
        Mismatch
            Queries of another dimension.
        """
        if queries.shape[1] != self.file.header.dim:
            raise Mismatch(
                f"the queries have {queries.shape[1]} dimensions, {self.file.path} has "
                f"{self.file.header.dim}"
            )
        ids, distances, visited, compared = self._native.search(
            queries,
            k,
            visits=effort.visits,
            compared=compared_rows(k),
            groups=_GROUPS,
            seeds=_SEEDS,
            allowed=allowed,
            threads=threads or usable_processors(),
            kernel=kernel or "",
        )
        scanned = visited * self.file.header.degree
        report = Report(scanned, 0, compared, certified=False, exact=False)
        return Neighbours(ids, distances, report)


def open_graph(
    path: Path,
    blocks: Sequence[NDArray[np.float16]],
    parts: list[str],
    live: NDArray[np.bool_] | None,
) -> tuple[WalkedGraph, GraphPoints]:
    """Open a graph and its operating points.

    Parameters
    ----------
    live
        (rows,): true for rows that were not removed; None if none was.

    Everything except the nodes is compared with its checksum. A damaged node can only hide rows;
    `GraphFile.verify` finds it.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        Missing; damaged, or of another version.
    Mismatch
        It indexes other vectors: parts were added, rows that had been removed came back, or it was copied
        from elsewhere.
    """
    file = GraphFile(path)
    header = file.header
    if header.parts != parts:
        raise Mismatch(
            f"{path} indexes {counted(len(header.parts), 'part')} with {counted(header.rows, 'row')}, the collection has "
            f"{len(parts)} with {sum(map(len, blocks)):,}: update it with pairdex index --kind graph"
        )
    points = read_points(points_path(path))
    if points.of != file.seal:
        raise Mismatch(f"{points_path(path)} belongs to another graph than {path}: {REMEDY}")
    file.verify(*(name for name in header.sections() if name != "nodes"))
    if header.rows != sum(map(len, blocks)):
        raise DamagedFile(
            f"{path} has {counted(header.rows, 'row')}, not those of its parts: {REMEDY}"
        )
    left_out = file.section("left_out")
    if len(left_out) and (live is None or left_out[-1] >= len(live) or live[left_out].any()):
        raise Mismatch(f"{path} lacks rows that had been removed when it was built: {REMEDY}")
    return WalkedGraph(file, blocks), points


def _opened(
    file: GraphFile, blocks: Sequence[NDArray[np.float16]], changed: Mapping[str, NDArray[Any]]
) -> _native.Graph:
    """Return the graph of a file. Raises ValueError or TypeError for one that no build wrote."""
    header = file.header

    def section(name: str) -> NDArray[Any]:
        return changed[name] if name in changed else file.section(name)

    return _native.Graph(
        list(blocks),
        nodes=section("nodes"),
        degree=header.degree,
        mean=section("mean"),
        seed=header.seed,
        step=header.step,
        basis=(section("basis"), section("basis_scales")),
        groups=(section("group_codes"), section("group_biases")),
        group_scale=header.group_scale,
        entries=(section("entry_codes"), section("entry_biases")),
        entry_scale=header.entry_scale,
        entry_nodes=section("entry_nodes"),
        copies=section("copies"),
    )
