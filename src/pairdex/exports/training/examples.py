"""Iterate over pairs with the features of TFDS's `laion400m`, without TFDS."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL.Image import Image

from pairdex.arguments import StrPath, checked
from pairdex.encoders.pictures import open_picture
from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.exports.names import Config
from pairdex.exports.training.features import Example
from pairdex.exports.training.sources import Left, Pair, open_source

__all__ = ["decoded", "examples"]


@checked
def examples(source: StrPath, config: Config = "images") -> Iterator[Example]:
    """Yield the pairs of a collection, parts or shards with the features of TFDS's `laion400m`.

    Parameters
    ----------
    source
        A collection. For `embeddings`, also a folder of parts with image and text vectors. For `images`,
        also a folder of img2dataset shards (`00000.tar` with `00000.parquet`).
    config
        `images` adds `image`, uint8 of shape (height, width, 3). `embeddings` adds `image_embedding` and
        `text_embedding`, float16 of shape (dim,).

    Yields
    ------
    dict
        caption, license, url: str; nsfw: int64, 0 to 3 for UNLIKELY, UNSURE, NSFW, UNTAGGED;
        original_height, original_width: int32, 0 if missing; similarity: float64, -1.0 if missing; and the
        features of the configuration. `images` skips rows without a local picture.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch, InvalidArgument
        `source` does not exist, is damaged or has no such examples, or a picture cannot be decoded.
    """
    opened = open_source(Path(source), config)
    for unit in range(len(opened.rows())):
        for pair in opened.pairs(unit, Left()):
            yield _example(pair)


def decoded(pair: Pair) -> Image:
    """Decode the picture of a pair, in the colour mode of its file.

    Raises
    ------
    DamagedFile
        The file is not a picture, or is damaged.
    """
    assert pair.picture is not None, "the configuration is images"
    try:
        return open_picture(BytesIO(pair.picture))
    except (DamagedFile, InvalidArgument) as error:
        raise DamagedFile(f"the picture of example {pair.key}: {error}") from error


def _example(pair: Pair) -> Example:
    if pair.picture is None:
        return pair.features
    return pair.features | {"image": np.asarray(decoded(pair).convert("RGB"))}
