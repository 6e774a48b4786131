"""The file format of the approximate index: a header, then arrays that are memory-mapped.

Byte by byte: docs/formats.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from pairdex.files.sections import REMEDY, SectionedFile, SectionedHeader, Sections, Writer
from pairdex.ivf.parameters import KEPT

__all__ = [
    "GROUP_ROWS",
    "NO_ROW",
    "REMEDY",
    "Header",
    "IvfFile",
    "Writer",
    "group_stride",
    "row_bytes",
]

GROUP_ROWS = 32
NO_ROW = np.uint32(0xFFFFFFFF)

_FACTS_BYTES = 3 * 2 * GROUP_ROWS  # three float16 a row


@dataclass(frozen=True)
class Header(SectionedHeader):
    """The header of a file.

    Attributes
    ----------
    rows, dim
        Number and dimension of the indexed vectors.
    parts
        The checksums of the files of vectors, in order.
    nlist, coded, seed
        As in `Parameters`.
    trained_rows
        Number of rows when the lists were trained; others were added later.
    groups
        Number of groups of 32 places, in all lists.
    other_from, rows_from
        As in `Quantiser`; None for infinity.
    version
        The release that wrote the file.
    """

    MAGIC: ClassVar[bytes] = b"PDXLISTS"
    VERSION: ClassVar[int] = 1
    rows: int
    dim: int
    parts: list[str]
    nlist: int
    coded: int
    seed: int
    trained_rows: int
    groups: int
    other_from: float | None
    rows_from: float
    version: str

    def sections(self) -> Sections:
        """Return each section's dtype and shape, in their order in the file."""
        stride = group_stride(self.coded)
        list_groups = -(-self.nlist // GROUP_ROWS)
        padded_dim = -(-self.dim // 16) * 16
        return {
            "basis": (np.dtype("<f4"), (KEPT + self.coded, padded_dim)),
            "centroids": (np.dtype("<f4"), (self.nlist, KEPT + self.coded)),
            "centroid_groups": (np.dtype("u1"), (list_groups * stride,)),
            "spreads": (np.dtype("<f4"), (list_groups * GROUP_ROWS,)),
            "starts": (np.dtype("<u8"), (self.nlist + 1,)),
            "ids": (np.dtype("<u4"), (self.groups * GROUP_ROWS,)),
            "groups": (np.dtype("u1"), (self.groups * stride,)),
        }


class IvfFile(SectionedFile[Header]):
    """An opened inverted file; see `SectionedFile`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Header)


def row_bytes(coded: int) -> int:
    """Bytes of a row's codes: half a byte for each coordinate, padded to 64 coordinates."""
    return -(-coded // 64) * 32


def group_stride(coded: int) -> int:
    """Bytes of a group of 32 rows: the facts, then the codes."""
    return _FACTS_BYTES + GROUP_ROWS * row_bytes(coded)
