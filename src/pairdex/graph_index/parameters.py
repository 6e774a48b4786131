"""The parameters of a graph: their bounds and defaults."""

from __future__ import annotations

from dataclasses import dataclass

from pairdex.errors import InvalidArgument
from pairdex.ivf.parameters import Size

__all__ = ["MAX_DIM", "MAX_ROWS", "Parameters", "choose", "rotated_length"]

MAX_DIM = 2048
MAX_ROWS = 2**31 - 2  # one bit of a node's number is a mark
_DEGREES: dict[Size, int] = {"fast": 32, "compact": 16}
_SEED = 20210820  # any; the day the first parts of LAION-400M were published
_STEP = 64


@dataclass(frozen=True)
class Parameters:
    """The parameters that, with the rows, determine a graph.

    Attributes
    ----------
    degree
        Number of neighbours of a node, 16 or 32.
    seed
        Seed of the rotation.
    """

    degree: int
    seed: int = _SEED


def choose(rows: int, dim: int, *, size: Size = "fast") -> Parameters:
    """Choose the parameters for a number of rows.

    Parameters
    ----------
    size
        `fast` stores 32 neighbours of each row, `compact` 16.

    Raises
    ------
    InvalidArgument
        Too many dimensions or rows.
    """
    if dim > MAX_DIM:
        raise InvalidArgument(
            f"vectors of {dim:,} dimensions cannot have a graph, expected at most {MAX_DIM:,}; "
            "use --kind lists"
        )
    if rows > MAX_ROWS:
        raise InvalidArgument(
            f"{rows:,} rows cannot have a graph, expected at most {MAX_ROWS:,}; use --kind lists"
        )
    return Parameters(_DEGREES[size])


def rotated_length(dim: int) -> int:
    """Return the dimensions of a rotated row: whole cache lines."""
    return -(-dim // _STEP) * _STEP
