"""Printing what a search found: a line for each hit, or for each query."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.cli.output import print_table
from pairdex.store.row_name import row_name

__all__ = ["as_lists", "print_hits", "print_neighbours"]

_WHY = ("fused_score", "vector_rank", "keyword_rank", "keyword_score")
_TEXTS = ("caption", "picture")  # a column that is empty in all rows is left out
_FORMS = {"distance": ".4g", "similarity": ".3f", "fused_score": ".4f", "keyword_score": ".2f"}


def print_hits(hits: Sequence[dict[str, Any]], *, with_distance: bool = False) -> None:
    """Print a line for each hit: id, what orders it, caption, and where its picture is."""
    columns = ["distance"] if with_distance else []
    columns += ["similarity", *_WHY]
    shown = [name for name in columns if any(hit.get(name) is not None for hit in hits)]
    numbers = ["id", *(name.replace("_", " ") for name in shown)]
    texts = [_texts(hit) for hit in hits]
    kept = [place for place in range(len(_TEXTS)) if any(row[place] for row in texts)]
    print_table(
        [*numbers, *(_TEXTS[place] for place in kept)],
        (
            [
                str(hit["id"]),
                *(_number(name, hit.get(name)) for name in shown),
                *map(row.__getitem__, kept),
            ]
            for hit, row in zip(hits, texts, strict=True)
        ),
        right=set(numbers),
    )


def _texts(hit: dict[str, Any]) -> tuple[str, str]:
    """Return the caption of a hit and where its picture is; a file's name stands for a missing caption."""
    place = str(hit.get("url") or hit.get("image_path") or "")
    name = row_name(hit) or ""
    return ("" if name == place else name), place


def _number(name: str, value: float | None) -> str:
    return "" if value is None else format(value, _FORMS.get(name, "d"))


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
