"""The parameters of an inverted file: their bounds and defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pairdex.errors import InvalidArgument

__all__ = [
    "DEFAULT_RECALL",
    "KEPT",
    "MAX_NLIST",
    "MAX_RECALL",
    "MAX_ROWS",
    "MIN_DIM",
    "MIN_RECALL",
    "IndexKind",
    "Parameters",
    "Size",
    "choose",
]

Size = Literal["fast", "compact"]
IndexKind = Literal["lists", "graph", "auto"]  # graph: also lists; auto: a graph if memory holds it

DEFAULT_RECALL = 0.95  # recall@10
MIN_RECALL, MAX_RECALL = 0.5, 0.999  # above this, search exactly
KEPT = 2  # coordinates that are stored as float16, besides the coded ones
MIN_DIM = KEPT + 2
MAX_CODED = 1022  # coordinates: 512 bytes for each row
MAX_NLIST = 65_536
MAX_ROWS = 2**32 - 2  # places and ids are 32-bit numbers

_ROWS_PER_LIST = 64  # minimum, two groups of the kernels: shorter lists are mostly padding
_SEED = 20210808  # any; the day LAION-400M appeared


@dataclass(frozen=True)
class Parameters:
    """The parameters that, with the rows, determine an inverted file.

    Attributes
    ----------
    nlist
        Number of lists, 1 to MAX_NLIST.
    coded
        Number of principal coordinates of a row that are coded, in 4 bits each.
    seed
        Seed of the training sample.
    """

    nlist: int
    coded: int
    seed: int = _SEED


def choose(rows: int, dim: int, *, size: Size = "fast", nlist: int | None = None) -> Parameters:
    """Choose the parameters for a number of rows.

    Parameters
    ----------
    size
        `fast` codes all coordinates (half a byte each), `compact` only the principal half.
    nlist
        Number of lists. Default: 4 sqrt(rows) rounded to a power of two, with at least 64 rows in each list.

    Raises
    ------
    InvalidArgument
        Too few dimensions, too many rows, or an nlist out of bounds.
    """
    if dim < MIN_DIM:
        raise InvalidArgument(
            f"vectors of {dim} dimensions cannot be indexed, expected at least {MIN_DIM}"
        )
    if rows > MAX_ROWS:
        raise InvalidArgument(f"{rows:,} rows cannot be indexed, expected at most {MAX_ROWS:,}")
    if nlist is None:
        default = 2 ** round(math.log2(4 * math.sqrt(max(rows, 1))))
        nlist = max(1, min(default, rows // _ROWS_PER_LIST, MAX_NLIST))
    elif not 1 <= nlist <= min(MAX_NLIST, max(rows, 1)):
        raise InvalidArgument(
            f"nlist is {nlist:,}, expected 1 to {min(MAX_NLIST, max(rows, 1)):,}", field="nlist"
        )
    most = min(dim - KEPT, MAX_CODED)
    coded = most if size == "fast" else min(most, (dim // 2 + 63) // 64 * 64)
    return Parameters(nlist, coded)
