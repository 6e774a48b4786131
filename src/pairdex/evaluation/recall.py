"""Recall at k: which share of the true neighbours was found."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, as_array, checked
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.cosine import Neighbours
from pairdex.reference.read_gold import Gold, read_gold

__all__ = ["found_true", "found_true_or_tied", "recall", "shared"]

_BLOCK = 1_000  # queries compared together


@checked
def recall(
    ids: ArrayLike | Neighbours, gold_ids: ArrayLike | Neighbours | StrPath, *, k: int | None = None
) -> float:
    """Return recall@k: the share of the k true neighbours that are among the first k found.

    Parameters
    ----------
    ids
        What was found: int64 (n, any), 0-based; -1 is not a row. Or what `Collection.nearest` returned.
    gold_ids
        The true neighbours, (n, any), nearest first; or the path of a gold standard.
    k
        How many neighbours count; by default as many as both have.

    Returns
    -------
    float
        From 0 to 1: the mean over the n queries.

    Raises
    ------
    InvalidArgument
        No integers, or a k that the true neighbours do not reach.
    Mismatch
        Answers to another number of queries.
    MissingFile, DamagedFile, UnsupportedFormat
        The gold standard cannot be read.

    Examples
    --------
    >>> recall([[3, 1], [5, -1]], [[1, 3], [5, 9]])
    0.75
    """
    found, true = _ids(ids, "ids"), _ids(gold_ids, "gold_ids")
    if len(found) != len(true):
        raise Mismatch(f"ids answer {len(found):,} queries, gold_ids {len(true):,}")
    wanted = min(found.shape[1], true.shape[1]) if k is None else k
    if not 1 <= wanted <= true.shape[1]:
        raise InvalidArgument(
            f"k is {wanted:,}, gold_ids have {true.shape[1]:,} neighbours of each query", field="k"
        )
    if not len(found):
        raise InvalidArgument("ids answer no query: there is nothing to compare", field="ids")
    return float(shared(found[:, :wanted], true[:, :wanted]).sum() / (len(found) * wanted))


def _ids(given: ArrayLike | Neighbours | StrPath, field: str) -> NDArray[np.int64]:
    if isinstance(given, (str, os.PathLike)):
        return read_gold(given).ids
    values = given.ids if isinstance(given, Neighbours) else as_array(given, field=field)
    if values.ndim not in (1, 2) or values.dtype.kind not in "iu":
        raise InvalidArgument(
            f"{field} are {values.dtype} of shape {values.shape}, expected integers (n, k)",
            field=field,
        )
    return np.atleast_2d(values).astype(np.int64)


def found_true(ids: NDArray[np.int64], gold: Gold, k: int) -> NDArray[np.int64]:
    """Count the gold standard's k nearest among the first k found, for each query.

    Recall@k is their sum over n * k, as SISAP's evaluation computes it.

    Parameters
    ----------
    ids
        (n, any) int64, 0-based; -1 is no row. A row found twice counts once.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        From 0 to k.
    """
    return shared(ids[:, :k], gold.ids[:, :k])


def found_true_or_tied(ids: NDArray[np.int64], gold: Gold, k: int) -> NDArray[np.int64]:
    """Count as `found_true` does, and rows that are exactly as far as the k-th.

    Ties are seen as far as the gold standard reaches: one of just k neighbours shows none.
    """
    is_near = gold.distances <= gold.distances[:, k - 1 : k]
    width = int(is_near.sum(axis=1).max(initial=0))  # distances ascend: these come first
    # A query of k found rows cannot have more than k right ones, however many are tied.
    return shared(ids[:, :k], np.where(is_near, gold.ids, -1)[:, :width])


def shared(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the distinct ids that two rows (n, a) and (n, b) have in common; -1 is none.

    Examples
    --------
    >>> shared(np.array([[4, 4, 7, -1]]), np.array([[7, 4, -1]])).tolist()
    [2]
    """
    counts = np.zeros(len(found), np.int64)
    stride = 1 + max(found.max(initial=0), wanted.max(initial=0))
    for first in range(0, len(found), _BLOCK):
        a, b = (_keys(ids[first : first + _BLOCK], stride) for ids in (found, wanted))
        both = np.intersect1d(a, b, assume_unique=True)
        rows = np.bincount(both // stride, minlength=_BLOCK)
        counts[first : first + _BLOCK] = rows[: len(counts) - first]
    return counts


def _keys(ids: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """Return the distinct pairs of row and id as one number each."""
    keys = np.arange(len(ids))[:, None] * stride + ids
    return np.unique(keys[ids >= 0])
