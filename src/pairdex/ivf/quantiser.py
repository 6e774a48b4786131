"""Assigns rows to lists: a basis, and one centroid for each list, trained on a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.ivf.parameters import KEPT, Parameters
from pairdex.knn.code_basis import principal_basis, sample_rows

__all__ = ["Coded", "Quantiser", "record_type", "rows_at", "train", "trained_on"]

Blocks = Sequence[NDArray[np.float16]]

_SAMPLE_PER_LIST = 24  # training rows for each list
_ITERATIONS = 4  # of k-means
_TOGETHER = 32_768  # rows of the sample that are read and rotated, or summed, at once


@dataclass(frozen=True)
class Quantiser:
    """A basis and centroids along it.

    Attributes
    ----------
    basis
        (2 + coded, padded dim) float32, padded with zeros: the direction of the mean, the direction of
        the gap to the other vectors, then the coded directions.
    centroids
        (nlist, 2 + coded) float32.
    other_from
        A query at or beyond this coordinate along the gap is of the other kind; infinity if the index
        knew no vectors of the other kind.
    rows_from
        Nearly all rows lie beyond this coordinate along the mean; a query below it is not like the rows.
    """

    basis: NDArray[np.float32]
    centroids: NDArray[np.float32]
    other_from: float
    rows_from: float

    def code(self, rows: NDArray[np.float16], *, first_id: int, threads: int) -> Coded:
        """Code rows with the ids `first_id`, `first_id` + 1, ...: records of `record_type`."""
        coordinates = _native.ivf_coordinates(rows, self.basis, threads=threads, kernel="")
        codes, facts = _native.ivf_code(coordinates, threads=threads)
        lists, distances = _native.ivf_assign(
            coordinates, codes, facts, self.centroids, threads=threads, kernel=""
        )
        records = np.empty(len(rows), record_type(codes.shape[1]))
        records["list"] = lists
        records["id"] = np.arange(first_id, first_id + len(rows), dtype=np.uint32)
        records["spread"] = np.nan_to_num(distances)
        records["facts"] = facts
        records["codes"] = codes
        return records


Coded = NDArray[np.void]


def record_type(row_bytes: int) -> np.dtype[np.void]:
    """Return the dtype of a coded row before it is grouped.

    `list` and `id` are uint32, `spread` the squared distance to the centroid, `facts` three float16
    as bits (along mean, along gap, scale), `codes` `row_bytes` bytes.
    """
    return np.dtype(
        [
            ("list", "<u4"),
            ("id", "<u4"),
            ("spread", "<f4"),
            ("facts", "<u2", (3,)),
            ("codes", "u1", (row_bytes,)),
        ]
    )


def train(
    blocks: Blocks, parameters: Parameters, *, other_blocks: Blocks = (), threads: int = 1
) -> Quantiser:
    """Train on a sample of the rows: principal directions, then k-means along them.

    Parameters
    ----------
    other_blocks
        Vectors of the other kind in the same space: texts where the rows are images.
    """
    rows, others = sample_rows(blocks), sample_rows(other_blocks)
    directions = principal_basis(rows, others, parameters.coded)
    basis = np.zeros((len(directions), -(-rows.shape[1] // 16) * 16), np.float32)
    basis[:, : rows.shape[1]] = directions
    along_mean = rows @ directions[0]
    other_from = np.inf
    if len(others):
        other_from = float(((rows @ directions[1]).mean() + (others @ directions[1]).mean()) / 2)
    rows_from = float(along_mean.mean() - 6 * along_mean.std())
    sample = _sample(blocks, basis, parameters, threads)
    centroids = _k_means(sample, parameters, threads)
    return Quantiser(basis, centroids, other_from, rows_from)


def trained_on(rows: int, nlist: int, seed: int) -> NDArray[np.int64]:
    """Return the ids of the training rows of the lists; as queries they would find their list too easily."""
    wanted = min(rows, nlist * _SAMPLE_PER_LIST)
    return np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))


def rows_at(blocks: Blocks, ids: NDArray[np.int64]) -> NDArray[np.float16]:
    """Return rows by ascending ids over all blocks: (n, dim)."""
    ends = np.cumsum([len(block) for block in blocks])
    numbers = np.searchsorted(ends, ids, side="right")
    rows = [np.empty((0, blocks[0].shape[1]), np.float16)]
    for number in np.unique(numbers):
        begin = ends[number] - len(blocks[number])
        rows.append(blocks[number][ids[numbers == number] - begin])
    return np.concatenate(rows)


def _sample(
    blocks: Blocks, basis: NDArray[np.float32], parameters: Parameters, threads: int
) -> NDArray[np.float32]:
    """Return coordinates of random rows, without those that have no direction."""
    ids = trained_on(sum(map(len, blocks)), parameters.nlist, parameters.seed)
    sample = np.empty((len(ids), len(basis)), np.float32)
    for first in range(0, len(ids), _TOGETHER):
        some = slice(first, first + _TOGETHER)
        rows = rows_at(blocks, ids[some])
        sample[some] = _native.ivf_coordinates(rows, basis, threads=threads, kernel="")
    good = ~np.isnan(sample[:, 0])
    return sample if good.all() else sample[good]


def _k_means(
    sample: NDArray[np.float32], parameters: Parameters, threads: int
) -> NDArray[np.float32]:
    """Return the centroids; a list without rows of the sample restarts at a random row."""
    rng = np.random.default_rng(parameters.seed + 1)
    if len(sample) == 0:
        return np.zeros((parameters.nlist, sample.shape[1]), np.float32)
    begin = rng.choice(len(sample), parameters.nlist, replace=len(sample) < parameters.nlist)
    centroids = np.ascontiguousarray(sample[begin])
    codes, facts = _native.ivf_code(sample, threads=threads)
    for _ in range(_ITERATIONS):
        lists, _ = _native.ivf_assign(sample, codes, facts, centroids, threads=threads, kernel="")
        empty = _move_to_means(centroids, sample, lists)
        centroids[empty] = sample[rng.integers(0, len(sample), len(empty))]
    assert centroids.shape[1] == KEPT + parameters.coded
    return centroids


def _move_to_means(
    centroids: NDArray[np.float32], sample: NDArray[np.float32], lists: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Move each centroid to the mean of its rows, in batches to save memory; return those without rows."""
    counts = np.bincount(lists, minlength=len(centroids))
    order = np.argsort(lists, kind="stable")
    filled = np.flatnonzero(counts)
    starts = (np.cumsum(counts) - counts)[filled]
    cuts = np.unique(np.searchsorted(starts, np.arange(0, len(order), _TOGETHER)))
    for some in np.split(np.arange(len(filled)), cuts[(cuts > 0) & (cuts < len(filled))]):
        first, end = starts[some[0]], starts[some[-1]] + counts[filled[some[-1]]]
        sums = np.add.reduceat(sample[order[first:end]], starts[some] - first, axis=0)
        centroids[filled[some]] = sums / counts[filled[some], None]
    return np.flatnonzero(counts == 0)
