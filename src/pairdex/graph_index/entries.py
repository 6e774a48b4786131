"""Where walks begin: evenly spaced nodes in groups, with codes along a few principal directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.graph_index.file import BLOCK_PLACES, GROUP_PLACES, LARGEST, ZERO
from pairdex.join.lists import fit_centroids

__all__ = ["Directions", "Entries", "NodeRows", "fit_directions", "group_entries", "spaced_nodes"]

_MOST_ENTRIES = 4096  # half a megabyte of codes: they stay in the caches
_GROUP_ROWS = 40  # in the mean: groups have at most GROUP_PLACES
_DIRECTIONS = 64  # also for vectors of fewer dimensions: the others are zeros
_SPREAD_WEIGHT = 0.1  # of a group's spread, added to its score: measured, as for lists


@dataclass(frozen=True)
class Directions:
    """Principal directions in the rotated space.

    Attributes
    ----------
    values
        (n, length) float32.
    codes, scales
        The same as whole numbers, packed, and (n,) float32: what a whole number stands for.
    """

    values: NDArray[np.float32]
    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]


@dataclass(frozen=True)
class NodeRows:
    """What entries are made of, for some nodes.

    Attributes
    ----------
    nodes
        (n,) their numbers.
    rows
        (n, length) float32: their rows in the rotated space.
    along_mean
        (n,) float32.
    small
        (n, 64) int8: codes that put near rows into one group.
    """

    nodes: NDArray[np.uint32]
    rows: NDArray[np.float32]
    along_mean: NDArray[np.float32]
    small: NDArray[np.int8]


@dataclass(frozen=True)
class Entries:
    """The tables of entries, as `GraphFile` stores them."""

    group_codes: NDArray[np.uint8]
    group_biases: NDArray[np.float32]
    group_scale: float
    entry_codes: NDArray[np.uint8]
    entry_biases: NDArray[np.float32]
    entry_scale: float
    entry_nodes: NDArray[np.uint32]
    groups: int


def spaced_nodes(nodes: int) -> NDArray[np.uint32]:
    """Return the numbers of evenly spaced nodes, ascending."""
    return np.unique(np.linspace(0, nodes - 1, min(nodes, _MOST_ENTRIES)).astype(np.uint32))


def fit_directions(principal: NDArray[np.float32], *, seed: int) -> Directions:
    """Code the first principal directions (n, dim) in the rotated space."""
    rotated = _native.graph_rotate(np.ascontiguousarray(principal[:_DIRECTIONS]), seed=seed)
    values = np.zeros((_DIRECTIONS, rotated.shape[1]), np.float32)
    values[: len(rotated)] = rotated
    scales = np.maximum(np.abs(values).max(axis=1) / LARGEST, 1e-12).astype(np.float32)
    return Directions(values, _packed(_coded(values, scales[:, None])), scales)


def group_entries(some: NodeRows, directions: Directions) -> Entries:
    """Put nodes into groups of near ones."""
    along = np.asarray(np.einsum("nd,pd->np", some.rows, directions.values), np.float32)
    groups = _groups(some.small)
    means = np.stack([along[group].mean(axis=0) for group in groups])
    spreads = [float(np.sqrt(along[group].var(axis=0).sum())) for group in groups]
    biases = np.full(-(-len(groups) // BLOCK_PLACES) * BLOCK_PLACES, -np.inf, np.float32)
    for number, group in enumerate(groups):
        biases[number] = some.along_mean[group].mean() + _SPREAD_WEIGHT * spreads[number]
    group_scale, entry_scale = _scale(means), _scale(along)
    places = _places(groups)
    entry_codes = np.full((len(places), along.shape[1]), ZERO, np.uint8)
    there = places >= 0
    entry_codes[there] = _coded(along, entry_scale)[places[there]]
    return Entries(
        group_codes=_packed(_coded(means, group_scale)),
        group_biases=biases,
        group_scale=group_scale,
        entry_codes=_packed(entry_codes),
        entry_biases=np.where(there, some.along_mean[places], -np.inf).astype(np.float32),
        entry_scale=entry_scale,
        entry_nodes=np.where(there, some.nodes[places], 0).astype(np.uint32),
        groups=len(groups),
    )


def _groups(small: NDArray[np.int8]) -> list[NDArray[np.int64]]:
    centroids = fit_centroids(small, max(1, len(small) // _GROUP_ROWS))
    lists, _ = _native.join_assign(np.ascontiguousarray(small), centroids, threads=1, kernel="")
    order = np.argsort(lists, kind="stable")
    cuts = np.flatnonzero(np.diff(lists[order])) + 1
    return [
        group[first : first + GROUP_PLACES]
        for group in np.split(order, cuts)
        for first in range(0, len(group), GROUP_PLACES)
    ]


def _places(groups: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the entry at each place, -1 for none."""
    places = np.full((len(groups), GROUP_PLACES), -1, np.int64)
    for number, group in enumerate(groups):
        places[number, : len(group)] = group
    return places.reshape(-1)


def _scale(values: NDArray[np.float32]) -> float:
    return float(np.float32(max(float(np.abs(values).max(initial=0.0)) / LARGEST, 1e-12)))


def _coded(values: NDArray[np.float32], scale: float | NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(values / scale) + ZERO, np.uint8)


def _packed(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return vectors (n, length) in blocks of 16, four bytes a vector at a time; zeros fill up."""
    padded = np.full((-(-len(codes) // BLOCK_PLACES), BLOCK_PLACES, codes.shape[1]), ZERO, np.uint8)
    padded.reshape(-1, codes.shape[1])[: len(codes)] = codes
    fours = padded.reshape(len(padded), BLOCK_PLACES, -1, 4).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(fours).reshape(-1)
