"""The features of TFDS's `laion400m` 1.0.0: their names, and the values for missing metadata.

Source: the catalogue page of `laion400m`, and how its builder treats missing values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from pairdex.errors import Mismatch
from pairdex.exports.names import Config

__all__ = [
    "CONFIGS",
    "MISSING_SIMILARITY",
    "MISSING_SIZE",
    "NSFW_NAMES",
    "VERSION",
    "Example",
    "metadata_features",
]

CONFIGS: tuple[Config, ...] = get_args(Config)
VERSION = "1.0.0"

Example = dict[str, Any]
"""One example: `str`, NumPy scalars and NumPy arrays, by the names of the features."""

NSFW_NAMES = ("UNLIKELY", "UNSURE", "NSFW", "UNTAGGED")  # the ClassLabel's order: 0 to 3
_UNTAGGED = NSFW_NAMES.index("UNTAGGED")
MISSING_SIMILARITY = -1.0
MISSING_SIZE = 0  # our choice, since the builder has no rule: no picture is 0 pixels wide

# The columns that a feature is taken from, the preferred one first: img2dataset tables have both the
# original size of a picture (`original_width`) and its stored size (`width`).
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
    """Yield for each row a dictionary of the features that come from metadata.

    `nsfw` is the index of the tag in `NSFW_NAMES`; tags are compared exactly, with case and spaces. Other
    and missing tags are UNTAGGED. A missing similarity is -1.0, a missing text empty, a missing size 0.

    Raises
    ------
    Mismatch
        The type of a column cannot be converted to the type of its feature.
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
