"""Recall at k: the share of true neighbours that a search found."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, as_array, checked
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.cosine import Neighbours
from pairdex.reference.read_gold import Gold, read_gold
from pairdex.wording import counted

__all__ = ["found_true", "found_true_or_tied", "recall", "shared"]

_BLOCK = 1_000  # queries compared in one batch


@checked
def recall(
    ids: ArrayLike | Neighbours, gold_ids: ArrayLike | Neighbours | StrPath, *, k: int | None = None
) -> float:
    """Return recall@k: the share of the k true neighbours that are among the first k found.

    Parameters
    ----------
    ids
        Found rows: int64 (n, any), 0-based; -1 is not a row. Or the result of `Collection.nearest`.
    gold_ids
        The true neighbours, (n, any), nearest first; or the path of a gold standard.
    k
        Number of neighbours per query. The default is the smaller of the two row lengths.

    Returns
    -------
    float
        From 0 to 1: the mean over the n queries.

    Raises
    ------
    InvalidArgument
        The ids are not integers, or k exceeds the number of true neighbours.
    Mismatch
        `ids` and the gold standard have different numbers of queries.
    MissingFile, DamagedFile, UnsupportedFormat
        The gold standard cannot be read.

    Examples
    --------
    >>> recall([[3, 1], [5, -1]], [[1, 3], [5, 9]])
    0.75
    """
    found, true = _ids(ids, "ids"), _ids(gold_ids, "gold_ids")
    if len(found) != len(true):
        raise Mismatch(f"ids answer {counted(len(found), 'query')}, gold_ids {len(true):,}")
    wanted = min(found.shape[1], true.shape[1]) if k is None else k
    if not 1 <= wanted <= true.shape[1]:
        raise InvalidArgument(
            f"k is {wanted:,}, gold_ids have {counted(true.shape[1], 'neighbour')} of each query",
            field="k",
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
    """Count how many of the gold standard's k nearest are among the first k found, for each query.

    Recall@k is their sum over n * k, as SISAP's evaluation computes it.

    Parameters
    ----------
    ids
        (n, any) int64, 0-based; -1 is not a row. A row found twice counts once.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        From 0 to k.
    """
    return shared(ids[:, :k], gold.ids[:, :k])


def found_true_or_tied(ids: NDArray[np.int64], gold: Gold, k: int) -> NDArray[np.int64]:
    """Count like `found_true`, but accept every row at the distance of the k-th neighbour.

    Only ties within the gold standard count. A gold standard with exactly k neighbours shows none.
    """
    is_near = gold.distances <= gold.distances[:, k - 1 : k]
    width = int(is_near.sum(axis=1).max(initial=0))  # distances ascend, so these come first
    # k found rows hold at most k correct ones, whatever the number of ties.
    return shared(ids[:, :k], np.where(is_near, gold.ids, -1)[:, :width])


def shared(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the distinct ids in both (n, a) and (n, b), per row; -1 is not an id.

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
    """Return the distinct (row, id) pairs, each encoded as one number."""
    keys = np.arange(len(ids))[:, None] * stride + ids
    return np.unique(keys[ids >= 0])
