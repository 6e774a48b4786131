"""The regions of a map: clusters of points, named by the words that are frequent in their captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Region", "find_regions", "k_means"]

# For each level: the maximum number of regions, and the minimum of their mean number of points.
LEVELS = ((12, 60), (60, 40))
_ROUNDS = 40  # of k-means, which converges long before
_WORDS = 3  # per name
_MIN_LIFT = 1.5  # a distinctive word is this many times as frequent in a region's captions as in all captions
_MIN_SHARE = 0.04  # of a region's captions contain the word; rarer words describe single pictures
# Function words do not describe a region, even if they are more frequent there.
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
    """A region of the map: its level (0 is the coarsest), centre, number of points and name."""

    level: int
    x: float
    y: float
    points: int
    words: list[str]


def find_regions(
    positions: NDArray[np.float32], captions: Sequence[str | None], *, seed: int
) -> list[Region]:
    """Divide the points of a map into regions at each level, and name each region.

    Words are weighted similarly to tf-idf: the share of the region's captions that contain the word, times
    the logarithm of the ratio of that share to the share among all captions.
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
        labels, centres = k_means(positions, count, seed=seed)
        regions += _described(level, labels, centres, words, everywhere)
    return regions


def k_means(
    positions: NDArray[np.float32], count: int, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cluster points with Lloyd's algorithm and k-means++ starts: labels (n,) and centres (count, 2).

    Arthur & Vassilvitskii, k-means++ (SODA 2007), section 2.
    """
    points = positions.astype(np.float64)
    centres = _starts(points, count, np.random.Generator(np.random.PCG64(seed)))
    labels = np.full(len(points), -1, np.int64)
    for _ in range(_ROUNDS):
        nearest = _squares(points, centres).argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        sizes = np.bincount(labels, minlength=count)
        for axis in range(2):
            sums = np.bincount(labels, points[:, axis], count)
            centres[:, axis] = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres[:, axis])
    return labels, centres


def _starts(
    points: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.float64]:
    centres = np.empty((count, 2))
    centres[0] = points[random.integers(len(points))]
    nearest = _squares(points, centres[:1])[:, 0]
    for number in range(1, count):
        cumulated = np.cumsum(nearest)
        chosen = np.searchsorted(cumulated, random.random() * cumulated[-1])
        centres[number] = points[min(int(chosen), len(points) - 1)]
        nearest = np.minimum(nearest, _squares(points, centres[number : number + 1])[:, 0])
    return centres


def _squares(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    differences = points[:, None, :] - centres[None, :, :]
    return np.asarray((differences**2).sum(axis=2))


def _described(
    level: int,
    labels: NDArray[np.int64],
    centres: NDArray[np.float64],
    words: Sequence[list[str]],
    everywhere: Counter[str],
) -> list[Region]:
    regions = []
    for number, centre in enumerate(centres):
        inside = np.flatnonzero(labels == number).tolist()
        if not inside:
            continue
        name = _name([words[index] for index in inside], everywhere, len(words))
        x, y = (round(float(value), 6) for value in centre)
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
