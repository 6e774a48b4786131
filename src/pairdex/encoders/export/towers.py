"""A model's two towers in one form, whatever its library calls the parts.

Everything that makes two CLIP-like models differ is a field here: the activation, the masks, where the
vector is read, whether there is a class token. Shapes are those of NumPy products: x @ weight + bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Activation", "Affine", "Block", "PoolHead", "TextTower", "VisionTower"]

Array = NDArray[np.float32]
Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]


@dataclass(frozen=True)
class Affine:
    """x @ weight + bias for a layer; (x - mean) / std * weight + bias for a norm."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Block:
    """One residual layer: attention behind a norm, then a network of two layers behind another.

    `qkv` makes queries, keys and values side by side: weight (width, 3 * width).
    """

    norm_1: Affine
    qkv: Affine
    out: Affine
    norm_2: Affine
    up: Affine
    down: Affine


@dataclass(frozen=True)
class PoolHead:
    """SigLIP's reading of a picture: one learned query attends to all patches, then a residual network."""

    probe: Array  # (1, width)
    query: Affine
    key_value: Affine
    out: Affine
    norm: Affine
    up: Affine
    down: Affine


@dataclass(frozen=True)
class VisionTower:
    """From pixels to a vector.

    Attributes
    ----------
    patches
        Weight (width, 3, patch, patch) of the convolution, and its bias.
    class_token
        (width,); None where there is none, and `pool` reads the picture.
    projection
        (width, dim); None where `pool` gives the vector itself.
    """

    size: int
    patch: int
    heads: int
    epsilon: float
    activation: Activation
    patches: Affine
    class_token: Array | None
    positions: Array
    norm_before: Affine | None
    blocks: tuple[Block, ...]
    norm_after: Affine
    projection: Affine | None
    pool: PoolHead | None = None


@dataclass(frozen=True)
class TextTower:
    """From token ids to a vector.

    Attributes
    ----------
    eot_id
        The vector is read where this id comes first; None reads the last place.
    causal
        Whether each place sees only what stands before it, so that padding does not matter.
    """

    context_length: int
    heads: int
    epsilon: float
    activation: Activation
    tokens: Array  # (vocabulary, width)
    positions: Array  # (context_length, width)
    blocks: tuple[Block, ...]
    norm_after: Affine
    projection: Affine
    eot_id: int | None
    causal: bool
