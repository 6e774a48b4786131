"""Builds an inverted file in one pass over the rows, in bounded memory, or extends one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.files import checksums
from pairdex.ivf.file import Header, IvfFile, row_bytes
from pairdex.ivf.lists import write_lists
from pairdex.ivf.parameters import Parameters
from pairdex.ivf.quantiser import Quantiser, record_type, train
from pairdex.ivf.spill import Spill
from pairdex.progress import StepProgress
from pairdex.version import __version__

__all__ = ["BUILDING", "Rows", "build", "can_extend"]


BUILDING = ".building"  # suffix of the folder that holds an unfinished build
MOST_GROWTH = (
    1.5  # of the rows over those when the lists were trained; beyond it they are trained again
)

_CHUNK_ROWS = 32_768  # rows coded at once: 64 MB of coordinates at 512 dimensions
_KEEP_ROWS = 2**20  # rows between two checkpoints


@dataclass(frozen=True)
class Rows:
    """The rows to index.

    Attributes
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays, one for each part.
    parts
        A checksum of each.
    other_blocks
        Vectors of the other kind in the same space (texts if these are images), or none.
    """

    blocks: Sequence[NDArray[np.float16]]
    parts: list[str]
    other_blocks: Sequence[NDArray[np.float16]] = ()

    @property
    def count(self) -> int:
        """Number of rows."""
        return sum(len(block) for block in self.blocks)

    @property
    def dim(self) -> int:
        """Their dimension."""
        return int(self.blocks[0].shape[1])

    def chunks(self, first: int) -> Iterator[NDArray[np.float16]]:
        """Yield the rows from row `first` on, in chunks."""
        begin = 0
        for block in self.blocks:
            for at in range(max(first - begin, 0), len(block), _CHUNK_ROWS):
                yield np.ascontiguousarray(block[at : at + _CHUNK_ROWS])
            begin += len(block)


def can_extend(old: IvfFile, rows: Rows, parameters: Parameters) -> bool:
    """Return whether `old` indexes enough of the first parts of `rows`, with these parameters."""
    header = old.header
    return (
        rows.parts[: len(header.parts)] == header.parts
        and header.dim == rows.dim
        and (header.coded, header.seed) == (parameters.coded, parameters.seed)
        and rows.count <= header.trained_rows * MOST_GROWTH
    )


def build(
    rows: Rows,
    path: Path,
    parameters: Parameters,
    *,
    extend: IvfFile | None = None,
    threads: int = 1,
    progress: StepProgress | None = None,
) -> None:
    """Write the inverted file of all rows.

    An interrupted build resumes from the folder `NAME.building` beside the file.

    Parameters
    ----------
    extend
        A file of the first parts of `rows`: its lists are kept and the other rows are added
        (see `can_extend`).
    progress
        Called with the number of rows coded and of all rows to code.

    Raises
    ------
    WriteFailed
        The file could not be written.
    """
    quantiser = (
        train(rows.blocks, parameters, other_blocks=rows.other_blocks, threads=threads)
        if extend is None
        else _quantiser_of(extend)
    )
    first = 0 if extend is None else extend.header.rows
    spill = _spill(rows, path, quantiser, parameters, first)
    _code(rows, quantiser, spill, first=first, threads=threads, progress=progress)
    header = Header(
        rows=rows.count,
        dim=rows.dim,
        parts=rows.parts,
        nlist=len(quantiser.centroids),
        coded=parameters.coded,
        seed=parameters.seed,
        trained_rows=rows.count if extend is None else extend.header.trained_rows,
        groups=0,
        other_from=None if np.isinf(quantiser.other_from) else quantiser.other_from,
        rows_from=quantiser.rows_from,
        version=__version__,
        checksums={},
    )
    write_lists(path, header, quantiser, spill, extend=extend, threads=threads)
    spill.discard()


def _spill(
    rows: Rows, path: Path, quantiser: Quantiser, parameters: Parameters, first: int
) -> Spill:
    key = checksums.of_bytes(
        b"\n".join(
            [
                repr((parameters, rows.parts, first, __version__)).encode(),
                quantiser.basis.tobytes(),
                quantiser.centroids.tobytes(),
            ]
        )
    )
    return Spill(
        path.with_name(f"{path.name}{BUILDING}"),
        key=key,
        dtype=record_type(row_bytes(parameters.coded)),
        nlist=len(quantiser.centroids),
        rows=rows.count - first,
    )


def _code(
    rows: Rows,
    quantiser: Quantiser,
    spill: Spill,
    *,
    first: int,
    threads: int,
    progress: StepProgress | None,
) -> None:
    """Add the rows from row `first` on to the spill, except those that it already has."""
    kept = spill.rows
    for chunk in rows.chunks(first + spill.rows):
        spill.add(quantiser.code(chunk, first_id=first + spill.rows, threads=threads))
        if spill.rows - kept >= _KEEP_ROWS:
            spill.keep()
            kept = spill.rows
        if progress is not None:
            progress(spill.rows, rows.count - first)


def _quantiser_of(file: IvfFile) -> Quantiser:
    header = file.header
    return Quantiser(
        np.array(file.section("basis")),
        np.array(file.section("centroids")),
        np.inf if header.other_from is None else header.other_from,
        header.rows_from,
    )
