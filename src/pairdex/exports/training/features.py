"""The features of TFDS's `laion400m` 1.0.0: their names, and the rule for what a release leaves out.

Source: the catalogue page of `laion400m` and its builder's treatment of missing values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pairdex.errors import Mismatch

__all__ = [
    "CONFIGS",
    "MISSING_SIMILARITY",
    "MISSING_SIZE",
    "NSFW_NAMES",
    "VERSION",
    "Config",
    "Example",
    "metadata_features",
]

Config = Literal["images", "embeddings"]
CONFIGS: tuple[Config, ...] = ("images", "embeddings")
VERSION = "1.0.0"

Example = dict[str, Any]
"""One example: `str` texts, NumPy scalars and arrays under the names of the features."""

NSFW_NAMES = ("UNLIKELY", "UNSURE", "NSFW", "UNTAGGED")  # the ClassLabel's order: 0 to 3
_UNTAGGED = NSFW_NAMES.index("UNTAGGED")
MISSING_SIMILARITY = -1.0
MISSING_SIZE = 0  # the builder has no rule for a row without a size; no picture is 0 pixels wide

# What the collection calls the source of a feature, the preferred one first: img2dataset tables have
# both the size of the picture as it was (`original_width`) and as it is stored (`width`).
_SOURCES = {
    "caption": ("caption",),
    "license": ("license",),
    "nsfw": ("nsfw",),
    "original_height": ("original_height", "height"),
    "original_width": ("original_width", "width"),
    "similarity": ("similarity",),
    "url": ("url",),
}


def metadata_features(table: pa.Table) -> Iterator[Example]:
    """Yield the features that come from metadata, a dictionary a row, in order.

    `nsfw` is the tag's number in `NSFW_NAMES`, compared with case and not stripped; any other value, and
    none, is UNTAGGED. A missing similarity is -1.0, a missing text is empty, a missing size 0.

    Raises
    ------
    Mismatch
        A column is not of a type that the feature can hold.
    """
    columns = {feature: _values(table, feature) for feature in _SOURCES}
    for row in range(len(table)):
        value = {feature: column[row] for feature, column in columns.items()}
        yield {
            "caption": value["caption"] or "",
            "license": value["license"] or "",
            "nsfw": np.int64(_label(value["nsfw"])),
            "original_height": np.int32(value["original_height"] or MISSING_SIZE),
            "original_width": np.int32(value["original_width"] or MISSING_SIZE),
            "similarity": np.float64(_similarity(value["similarity"])),
            "url": value["url"] or "",
        }


def _values(table: pa.Table, feature: str) -> list[Any]:
    name = next((name for name in _SOURCES[feature] if name in table.column_names), None)
    if name is None:
        return [None] * len(table)
    column, wanted = table[name], _TYPES.get(feature, pa.string())
    try:
        values: list[Any] = column.cast(wanted).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Mismatch(
            f"the column {name} is {column.type}, the feature {feature} is {wanted}: {error}"
        ) from error
    return values


_TYPES = {"original_height": pa.int32(), "original_width": pa.int32(), "similarity": pa.float64()}


def _label(tag: str | None) -> int:
    return NSFW_NAMES.index(tag) if tag in NSFW_NAMES else _UNTAGGED


def _similarity(value: float | None) -> float:
    return MISSING_SIMILARITY if value is None or math.isnan(value) else value
