"""The file format of a graph: a header, then arrays that are memory-mapped.

Byte by byte: docs/formats.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from pairdex import _native
from pairdex.errors import DamagedFile
from pairdex.files.sections import REMEDY, SectionedFile, SectionedHeader, Sections, Writer
from pairdex.graph_index.parameters import MAX_DIM, rotated_length

__all__ = [
    "BLOCK_PLACES",
    "GROUP_PLACES",
    "LARGEST",
    "NO_NODE",
    "REMEDY",
    "ZERO",
    "GraphFile",
    "Header",
    "Writer",
    "node_bytes",
]

GROUP_PLACES = 64  # of entries in a group
BLOCK_PLACES = 16  # of vectors in a block of a table
NO_NODE = np.uint32(0xFFFFFFFF)
ZERO, LARGEST = 128, 127  # what is added to a whole number to store it; the largest one
_DEGREES = (16, 32)


@dataclass(frozen=True)
class Header(SectionedHeader):
    """The header of a file.

    Attributes
    ----------
    rows, dim
        Number and dimension of the indexed vectors.
    parts
        The checksums of the files of vectors, in order.
    degree, seed
        As in `Parameters`.
    nodes
        Number of nodes: equal rows share one, rows without a direction have none.
    copies
        Number of rows that equal the row of their node.
    left_out
        Number of rows that had been removed when they could have come in.
    inserted
        Number of rows that were added since the graph was built.
    projected
        Number of directions along which entries are compared.
    groups
        Number of groups of entries.
    step, group_scale, entry_scale
        What a whole number stands for: of a node's row, of the mean of a group, of an entry.
    version
        The release that wrote the file.
    """

    MAGIC: ClassVar[bytes] = b"PDXGRAPH"
    VERSION: ClassVar[int] = 1
    rows: int
    dim: int
    parts: list[str]
    degree: int
    seed: int
    nodes: int
    copies: int
    left_out: int
    inserted: int
    projected: int
    groups: int
    step: float
    group_scale: float
    entry_scale: float
    version: str

    def sections(self) -> Sections:
        """Return each section's dtype and shape, in their order in the file."""
        padded_groups = -(-self.groups // BLOCK_PLACES) * BLOCK_PLACES
        places = self.groups * GROUP_PLACES
        return {
            "mean": (np.dtype("<f4"), (self.dim,)),
            "basis": (np.dtype("u1"), (self.projected * rotated_length(self.dim),)),
            "basis_scales": (np.dtype("<f4"), (self.projected,)),
            "group_codes": (np.dtype("u1"), (padded_groups * self.projected,)),
            "group_biases": (np.dtype("<f4"), (padded_groups,)),
            "entry_codes": (np.dtype("u1"), (places * self.projected,)),
            "entry_biases": (np.dtype("<f4"), (places,)),
            "entry_nodes": (np.dtype("<u4"), (places,)),
            "copies": (np.dtype("<u4"), (self.copies,)),
            "left_out": (np.dtype("<u4"), (self.left_out,)),
            "nodes": (np.dtype("u1"), (self.nodes * node_bytes(self.dim, self.degree),)),
        }


class GraphFile(SectionedFile[Header]):
    """An opened graph; see `SectionedFile`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Header)


def node_bytes(dim: int, degree: int) -> int:
    """Return the bytes of a node.

    Raises
    ------
    DamagedFile
        No graph has such nodes: a header is forged.
    """
    if not 1 <= dim <= MAX_DIM or degree not in _DEGREES:
        raise DamagedFile(f"a graph has {dim} dimensions and {degree} neighbours: {REMEDY}")
    return _native.graph_node_bytes(dim, degree)
