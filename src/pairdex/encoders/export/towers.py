"""The two towers of a model in one form, whatever its library calls their parts.

Every difference between two CLIP-like models is a field: the activation, the masks, the position of the
vector, whether there is a class token. Shapes are those of NumPy products: x @ weight + bias.
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
    """One residual layer: a norm and attention, then a norm and a network of two layers.

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
    """SigLIP's pooling: one learned query attends to all patches, then a residual network."""

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
        (width,); None if `pool` reads the picture.
    projection
        (width, dim); None if `pool` returns the vector itself.
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
        The vector is read at the first place with this id; None reads the last place.
    causal
        True if each place attends only to places before it, so that padding does not matter.
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
