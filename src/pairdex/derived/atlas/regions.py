"""The regions of a map: points that lie together, named by the words that their captions have more often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Region", "find_regions", "k_means"]

# For each level: the most regions, and the least number of points in each on average.
LEVELS = ((12, 60), (60, 40))
_ROUNDS = 40  # of k-means; it is settled long before
_WORDS = 3  # a name
_MIN_LIFT = 1.5  # a word is distinctive if it is this many times as frequent in captions there as in all captions
_MIN_SHARE = 0.04  # of a region's captions that have the word; rarer ones are about single pictures
# Words that hold sentences together say nothing of a region, however much oftener they stand there.
_FILLERS = frozenset(
    [
        "all",
        "and",
        "are",
        "but",
        "for",
        "from",
        "has",
        "have",
        "her",
        "his",
        "into",
        "its",
        "not",
        "our",
        "out",
        "over",
        "that",
        "the",
        "their",
        "this",
        "under",
        "was",
        "were",
        "with",
        "you",
        "your",
    ]
)
_WORD = re.compile(r"[^\W\d_]{3,24}")


@dataclass(frozen=True)
class Region:
    """A part of the map: its level (0: the whole map is divided into few), middle, points and name."""

    level: int
    x: float
    y: float
    points: int
    words: list[str]


def find_regions(
    positions: NDArray[np.float32], captions: Sequence[str | None], *, seed: int
) -> list[Region]:
    """Divide the points of a map into regions, coarsely and finely, and name each.

    A word's weight is tf-idf's idea over captions: the share of the region's captions that have it,
    times the logarithm of how many times larger that is than among all captions.
    """
    words = [
        sorted({found.lower() for found in _WORD.findall(one or "")} - _FILLERS) for one in captions
    ]
    everywhere = Counter(word for some in words for word in some)
    regions = []
    for level, (most, points_each) in enumerate(LEVELS):
        count = min(most, len(positions) // points_each)
        if count == 0:
            continue
        labels, middles = k_means(positions, count, seed=seed)
        regions += _described(level, labels, middles, words, everywhere)
    return regions


def k_means(
    positions: NDArray[np.float32], count: int, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each point's cluster (n,) and the clusters' middles (count, 2): Lloyd's, k-means++ starts.

    Arthur & Vassilvitskii, k-means++ (SODA 2007), section 2.
    """
    points = positions.astype(np.float64)
    middles = _starts(points, count, np.random.Generator(np.random.PCG64(seed)))
    labels = np.full(len(points), -1, np.int64)
    for _ in range(_ROUNDS):
        nearest = _squares(points, middles).argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        sizes = np.bincount(labels, minlength=count)
        for axis in range(2):
            sums = np.bincount(labels, points[:, axis], count)
            middles[:, axis] = np.where(sizes > 0, sums / np.maximum(sizes, 1), middles[:, axis])
    return labels, middles


def _starts(
    points: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.float64]:
    middles = np.empty((count, 2))
    middles[0] = points[random.integers(len(points))]
    nearest = _squares(points, middles[:1])[:, 0]
    for number in range(1, count):
        cumulated = np.cumsum(nearest)
        chosen = np.searchsorted(cumulated, random.random() * cumulated[-1])
        middles[number] = points[min(int(chosen), len(points) - 1)]
        nearest = np.minimum(nearest, _squares(points, middles[number : number + 1])[:, 0])
    return middles


def _squares(points: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.float64]:
    differences = points[:, None, :] - middles[None, :, :]
    return np.asarray((differences**2).sum(axis=2))


def _described(
    level: int,
    labels: NDArray[np.int64],
    middles: NDArray[np.float64],
    words: Sequence[list[str]],
    everywhere: Counter[str],
) -> list[Region]:
    regions = []
    for number, middle in enumerate(middles):
        inside = np.flatnonzero(labels == number).tolist()
        if not inside:
            continue
        name = _name([words[index] for index in inside], everywhere, len(words))
        x, y = (round(float(value), 6) for value in middle)
        regions.append(Region(level, x, y, len(inside), name))
    return regions


def _name(words: Sequence[list[str]], everywhere: Counter[str], total: int) -> list[str]:
    here = Counter(word for some in words for word in some)
    least = max(2, _MIN_SHARE * len(words))
    weighted = []
    for word, count in here.items():
        share = count / len(words)
        lift = share / (everywhere[word] / total)
        if count >= least and lift >= _MIN_LIFT:
            weighted.append((-share * np.log(lift), word))
    chosen: list[str] = []
    for _, word in sorted(weighted):
        if not any(word.startswith(one) or one.startswith(word) for one in chosen):
            chosen.append(word)
        if len(chosen) == _WORDS:
            break
    return chosen
