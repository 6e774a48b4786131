"""Printing what a search found: a line for each hit, or for each query."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.cli.output import print_table

__all__ = ["as_lists", "print_hits", "print_neighbours"]


def print_hits(hits: Iterable[dict[str, Any]], *, with_distance: bool = False) -> None:
    """Print a line for each hit: id, similarity, caption, and where its picture is."""
    distance = ["distance"] if with_distance else []
    print_table(
        ["id", *distance, "similarity", "caption", "picture"],
        (_line(hit, with_distance=with_distance) for hit in hits),
        right={"id", "distance", "similarity"},
    )


def _line(hit: dict[str, Any], *, with_distance: bool) -> list[str]:
    distance = [f"{hit['distance']:.4g}"] if with_distance else []
    place = hit.get("url") or hit.get("image_path") or ""
    return [
        str(hit["id"]),
        *distance,
        f"{hit['similarity']:.3f}",
        str(hit.get("caption") or ""),
        str(place),
    ]


def as_lists(ids: NDArray[np.int64], distances: NDArray[np.float32]) -> dict[str, list[Any]]:
    """Return neighbours (n, k) as JSON can carry them: no distance beside an id of -1."""
    shown = [
        [near if row_id >= 0 else None for row_id, near in zip(row, nears, strict=True)]
        for row, nears in zip(ids.tolist(), distances.tolist(), strict=True)
    ]
    return {"ids": ids.tolist(), "distances": shown}


def print_neighbours(
    ids: NDArray[np.int64], distances: NDArray[np.float32], *, digits: int
) -> None:
    """Print a line for each query: its number, then id:distance of its neighbours (n, k)."""
    for query, (row, nears) in enumerate(zip(ids, distances, strict=True)):
        pairs = " ".join(
            f"{i}:{near:.{digits}f}" for i, near in zip(row, nears, strict=True) if i >= 0
        )
        sys.stdout.write(f"{query}  {pairs}\n")
