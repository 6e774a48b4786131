"""Exact k nearest rows with PyTorch's matrix products, on a GPU or any other of its devices.

A product in low precision rules out rows by a proven bound (docs/certified.md, section 8). The other
rows are compared in float64 on the CPU, by the code of every other search and with the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument, MissingExtra
from pairdex.knn import cosine
from pairdex.knn.distance import normalise
from pairdex.progress import StepProgress

if TYPE_CHECKING:
    import torch

__all__ = ["nearest_on_device"]

_ROW_BLOCK = 131_072  # rows on the device at once: 400 MB at 768 dimensions in float32
_QUERY_BLOCK = 1_024  # queries at once: their products with a block of rows take 512 MB
_MAX_PAIRS = 1 << 26  # candidates kept at once, 1 GB; more are ties, which the CPU searches

_INSTALL = (
    "searching on a GPU needs PyTorch, which is not installed; run: pip install 'pairdex[cuda]'"
)


def nearest_on_device(
    blocks: Sequence[NDArray[np.float16]],
    queries: NDArray[np.float32],
    k: int,
    *,
    device: str,
    allowed: NDArray[np.bool_] | None = None,
    progress: StepProgress | None = None,
) -> cosine.Neighbours:
    """Find the k nearest rows of each query, exactly, with the products on `device`.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays; ids run over them in order.
    queries
        (n, dim), of any length but zero; compared as float32.
    k
        At least 1.
    device
        A device of PyTorch: `cuda`, `cuda:1`, `cpu`.
    allowed
        (rows,) over all blocks: only rows where it is true are found.
    progress
        Called with the number of queries done and of all queries.

    Raises
    ------
    MissingExtra
        PyTorch is not installed.
    InvalidArgument, Mismatch
        PyTorch has no such device; as `cosine.nearest`.
    """
    scan = _Scan(tuple(blocks), k, allowed, _device(device))
    queries = cosine.check_queries(queries)
    found = [cosine.nearest(blocks, queries[:0], k, allowed=allowed)]  # checks all the rest
    for first in range(0, len(queries), _QUERY_BLOCK):
        found.append(scan.search(queries[first : first + _QUERY_BLOCK]))
        if progress:
            progress(min(first + _QUERY_BLOCK, len(queries)), len(queries))
    return _joined(found, scanned=len(queries) * sum(map(len, blocks)))


@dataclass(frozen=True)
class _Scan:
    """A search for k rows of `blocks` on a device."""

    blocks: tuple[NDArray[np.float16], ...]
    k: int
    allowed: NDArray[np.bool_] | None
    device: torch.device

    def search(self, queries: NDArray[np.float32]) -> cosine.Neighbours:
        with _exact_inputs():
            pairs = self._candidates(queries)
        if pairs is None:
            return cosine.nearest(self.blocks, queries, self.k, allowed=self.allowed)
        which, rows = pairs
        ends = np.searchsorted(which, np.arange(len(queries) + 1))
        return _joined(
            [
                self._decided(query[None, :], rows[start:stop])
                for query, start, stop in zip(queries, ends[:-1], ends[1:], strict=True)
            ]
        )

    def _candidates(
        self, queries: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return pairs of query and row, ascending, that hold the k nearest rows of every query."""
        import torch  # noqa: PLC0415 - only searches on a device need it

        short, margins = _rounded(queries)
        q = torch.from_numpy(short).to(self.device)
        margin = torch.from_numpy(margins).to(self.device)
        best = torch.full((len(queries), self.k), -torch.inf, device=self.device)
        pairs: list[torch.Tensor] = []
        for first, rows in _row_blocks(self.blocks):
            cosines = _cosines(q, torch.from_numpy(rows).to(self.device))
            if self.allowed is not None:
                out = torch.from_numpy(~self.allowed[first : first + len(rows)]).to(self.device)
                cosines.masked_fill_(out, -torch.inf)
            nearest = cosines.topk(min(self.k, len(rows)), dim=1).values
            best = torch.cat([best, nearest], dim=1).topk(self.k, dim=1).values
            floor = best[:, -1] - 2 * margin  # both the row and the k-th may be off by the margin
            which, row = torch.nonzero(
                (cosines >= floor[:, None]) & cosines.isfinite(), as_tuple=True
            )
            bits = cosines[which, row].view(torch.int32).long()
            pairs.append(torch.stack([which, row + first, bits]))
            if sum(part.shape[1] for part in pairs) > _MAX_PAIRS:
                return None
        which, row, bits = torch.cat(pairs, dim=1)
        kept = bits.to(torch.int32).view(torch.float32) >= (best[:, -1] - 2 * margin)[which]
        found = torch.stack([which[kept], row[kept]]).cpu().numpy()
        order = np.lexsort((found[1], found[0]))
        return found[0][order], found[1][order]

    def _decided(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> cosine.Neighbours:
        """Compare one query with its candidates, ascending by id, in float64."""
        found = cosine.nearest([self._gathered(rows)], query, self.k)
        is_row = found.ids >= 0
        ids = np.full_like(found.ids, -1)
        ids[is_row] = rows[found.ids[is_row]]
        return cosine.Neighbours(ids, found.distances, found.report)

    def _gathered(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        starts = np.cumsum([0, *map(len, self.blocks)])
        where = np.searchsorted(starts, rows, side="right") - 1
        gathered = np.empty((len(rows), self.blocks[0].shape[1]), np.float16)
        for index in np.unique(where):
            here = where == index
            gathered[here] = self.blocks[index][rows[here] - starts[index]]
        return gathered


def _rounded(queries: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return unit queries rounded to float16 values, and the largest error of a cosine from it.

    Float16 values pass unchanged through the 10 bits of mantissa that TF32 leaves, and their products
    are exact in float32. What remains is the query's own rounding, bounded by Cauchy-Schwarz, and the
    sums: dim additions, each off by at most 2^-22 (twice float32's, for hardware that truncates) of
    the sum of magnitudes, which is at most |q| |x|; 4 more for the norm and the division. Where three
    products of bfloat16 halves stand for one of float32, the fourth is left out: 2^-15 at most.
    """
    unit = normalise(queries)
    short = unit.astype(np.float16)
    lost = np.linalg.norm(unit - short, axis=1)
    summed = ((unit.shape[1] + 4) * 2.0**-22 + 2.0**-15) * np.linalg.norm(
        short.astype(np.float64), axis=1
    )
    margins = np.nextafter((lost + summed).astype(np.float32), np.float32(np.inf))
    return short.astype(np.float32), margins


def _cosines(q: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the products with normalised rows, (n, rows) float32; -inf for rows without a direction."""
    norms = rows.double().norm(dim=1)
    is_usable = (norms > 0) & norms.isfinite()
    cosines = (q @ rows.float().T) * (1 / norms).float()
    return cosines.masked_fill_(~is_usable, float("-inf"))


def _row_blocks(
    blocks: Sequence[NDArray[np.float16]],
) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """Yield all rows in blocks, each with the id of its first row, copied from their maps."""
    first = 0
    for block in blocks:
        for start in range(0, len(block), _ROW_BLOCK):
            yield first + start, np.array(block[start : start + _ROW_BLOCK])
        first += len(block)


def _joined(found: Sequence[cosine.Neighbours], *, scanned: int = 0) -> cosine.Neighbours:
    return cosine.Neighbours(
        np.concatenate([one.ids for one in found]),
        np.concatenate([one.distances for one in found]),
        cosine.Report(scanned, 0, sum(one.report.rechecked for one in found)),
    )


@contextmanager
def _exact_inputs() -> Iterator[None]:
    """Let float32 products use TF32, never bfloat16: the margins hold for 10 bits of mantissa."""
    import torch  # noqa: PLC0415

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _device(name: str) -> torch.device:
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(_INSTALL) from error
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidArgument(
            f"PyTorch has no device {name} here: {reason}", field="device"
        ) from error
    return device
