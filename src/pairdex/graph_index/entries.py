"""Where walks begin: evenly spaced nodes in groups, with codes along their principal directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.graph_index.file import BLOCK_PLACES, GROUP_PLACES, LARGEST, ZERO
from pairdex.join.lists import fit_centroids

__all__ = ["Entries", "NodeRows", "group_entries", "spaced_nodes"]

_MOST_ENTRIES = 4096  # half a megabyte of codes: they stay in the caches
_GROUP_ROWS = 40  # in the mean: groups have at most GROUP_PLACES
_DIRECTIONS = 64  # rotated rows have as many dimensions or more
_SPREAD_WEIGHT = 0.1  # of a group's spread, added to its score: measured, as for lists


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
    """

    nodes: NDArray[np.uint32]
    rows: NDArray[np.float32]
    along_mean: NDArray[np.float32]


@dataclass(frozen=True)
class Entries:
    """The tables of entries, as `GraphFile` stores them: `basis` has the principal directions."""

    basis: NDArray[np.uint8]
    basis_scales: NDArray[np.float32]
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


def group_entries(some: NodeRows) -> Entries:
    """Put nodes into groups of near ones."""
    directions = _principal(some.rows)
    scales = np.maximum(np.abs(directions).max(axis=1) / LARGEST, 1e-12).astype(np.float32)
    along = np.asarray(np.einsum("nd,pd->np", some.rows, directions), np.float32)
    groups = _groups(along)
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
        basis=_packed(_coded(directions, scales[:, None])),
        basis_scales=scales,
        group_codes=_packed(_coded(means, group_scale)),
        group_biases=biases,
        group_scale=group_scale,
        entry_codes=_packed(entry_codes),
        entry_biases=np.where(there, some.along_mean[places], -np.inf).astype(np.float32),
        entry_scale=entry_scale,
        entry_nodes=np.where(there, some.nodes[places], 0).astype(np.uint32),
        groups=len(groups),
    )


def _principal(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first principal directions, the longest first. The rows (n, length) are centred already."""
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(vectors.T[::-1][:_DIRECTIONS])


def _groups(along: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    small = np.asarray(np.rint(along / _scale(along)), np.int8)
    centroids = fit_centroids(small, max(1, len(small) // _GROUP_ROWS))
    lists, _ = _native.join_assign(small, centroids, threads=1, kernel="")
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
