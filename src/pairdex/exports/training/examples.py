"""Iterating over pairs as TFDS's `laion400m` gives them, without TFDS."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL.Image import Image

from pairdex.arguments import StrPath, checked
from pairdex.encoders.pictures import open_picture
from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.exports.training.features import Config, Example
from pairdex.exports.training.sources import Left, Pair, open_source

__all__ = ["decoded", "examples"]


@checked
def examples(source: StrPath, config: Config = "images") -> Iterator[Example]:
    """Yield the pairs of a collection, of parts, or of shards with the features of TFDS's `laion400m`.

    Parameters
    ----------
    source
        A collection; for `embeddings` also a folder of parts with image and text vectors; for `images`
        also a folder of img2dataset's shards (`00000.tar` with `00000.parquet`).
    config
        `images` gives `image`, uint8 (height, width, 3); `embeddings` gives `image_embedding` and
        `text_embedding`, float16 (dim,).

    Yields
    ------
    dict
        caption, license, url: str; nsfw: int64, 0 to 3 for UNLIKELY, UNSURE, NSFW, UNTAGGED;
        original_height, original_width: int32, 0 where missing; similarity: float64, -1.0 where missing;
        and what the configuration adds. Rows without a local picture are left out of `images`.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch, InvalidArgument
        Nothing there that has such examples, or it is damaged; a picture that cannot be decoded.
    """
    opened = open_source(Path(source), config)
    for unit in range(len(opened.rows())):
        for pair in opened.pairs(unit, Left()):
            yield _example(pair)


def decoded(pair: Pair) -> Image:
    """Return the picture of a pair, decoded, in the mode that its file has.

    Raises
    ------
    DamagedFile
        It is no picture, or a damaged one.
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
