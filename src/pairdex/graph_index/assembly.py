"""Puts a graph together from its nodes and entries: in memory to walk through it, or as a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.files import atomic, checksums
from pairdex.graph_index.entries import Entries
from pairdex.graph_index.file import Header, Writer
from pairdex.graph_index.nodes import Copies, Nodes
from pairdex.version import __version__

__all__ = ["TABLES", "Indexed", "opened", "write"]

_CHUNK_BYTES = 1 << 26
# Of the entries, as they are named in the file.
TABLES = (
    "basis",
    "basis_scales",
    "group_codes",
    "group_biases",
    "entry_codes",
    "entry_biases",
    "entry_nodes",
)


@dataclass(frozen=True)
class Indexed:
    """The rows of a graph.

    Attributes
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays, one for each part.
    parts
        A checksum of each.
    left_out
        Ascending ids of the rows that it shall not have.
    inserted
        The number of rows that were added since it was built.
    """

    blocks: list[NDArray[np.float16]]
    parts: list[str]
    left_out: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    inserted: int = 0

    @property
    def count(self) -> int:
        """Number of rows."""
        return sum(map(len, self.blocks))

    @property
    def plan(self) -> dict[str, Any]:
        """What names them in the notes of an unfinished build."""
        return {
            "parts": self.parts,
            "left_out": checksums.of_bytes(self.left_out.tobytes()),
            "version": __version__,
        }


def opened(rows: Indexed, nodes: Nodes, entries: Entries) -> _native.Graph:
    """Return a graph to walk through."""
    return _native.Graph(
        rows.blocks,
        nodes=nodes.bytes,
        degree=nodes.parameters.degree,
        mean=nodes.space.mean,
        seed=nodes.parameters.seed,
        step=nodes.space.step,
        basis=(entries.basis, entries.basis_scales),
        groups=(entries.group_codes, entries.group_biases),
        group_scale=entries.group_scale,
        entries=(entries.entry_codes, entries.entry_biases),
        entry_scale=entries.entry_scale,
        entry_nodes=entries.entry_nodes,
        copies=np.empty(0, np.uint32),
    )


def write(path: Path, rows: Indexed, nodes: Nodes, copies: Copies, entries: Entries) -> None:
    """Write the file of a graph.

    Raises
    ------
    WriteFailed
        It could not be written.
    """
    header = Header(
        checksums={},
        rows=rows.count,
        dim=nodes.dim,
        parts=rows.parts,
        degree=nodes.parameters.degree,
        seed=nodes.parameters.seed,
        nodes=len(nodes),
        copies=len(copies.ids),
        left_out=len(rows.left_out),
        inserted=rows.inserted,
        projected=len(entries.basis_scales),
        groups=entries.groups,
        step=nodes.space.step,
        group_scale=entries.group_scale,
        entry_scale=entries.entry_scale,
        version=__version__,
    )
    with atomic.replacing(path) as file:
        writer = Writer(file, header)
        writer.add("mean", nodes.space.mean)
        for name in TABLES:
            writer.add(name, getattr(entries, name))
        writer.add("copies", copies.ids)
        writer.add("left_out", rows.left_out)
        for first in range(0, len(nodes.bytes), _CHUNK_BYTES):
            writer.add("nodes", nodes.bytes[first : first + _CHUNK_BYTES])
        writer.finish()
