"""The layout of OpenAI's CLIP, which open_clip shares: `visual.transformer.resblocks.0.attn.in_proj_weight`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pairdex.encoders.export.layers import Tensors, count_layers
from pairdex.encoders.export.towers import (
    Activation,
    Affine,
    Block,
    TextTower,
    VisionTower,
)
from pairdex.encoders.export.weights import Weights
from pairdex.errors import UnsupportedFormat

__all__ = ["Shape", "read_openai_towers"]

_EPSILON = 1e-5
_HEAD_SIZE = 64  # default: clip/model.py has width // 64 heads
# In the files, but not part of the towers.
_IGNORED = (
    "logit_scale", "logit_bias", "attn_mask", "input_resolution", "context_length", "vocab_size",
    "text.attn_mask",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Facts that the tensors do not state."""

    activation: Activation
    text_heads: int | None = None
    vision_heads: int | None = None
    eot_id: int | None = None  # None: the last token of the vocabulary


def read_openai_towers(weights: Weights, path: Path, shape: Shape) -> tuple[TextTower, VisionTower]:
    """Return the towers.

    Raises
    ------
    UnsupportedFormat
        The model is not a ViT of this layout: a ResNet, or one with unsupported parts.
    DamagedFile
        A tensor is missing, or of another shape than the others ask for.
    """
    if "visual.layer1.0.conv1.weight" in weights or "visual.attnpool.k_proj.weight" in weights:
        raise UnsupportedFormat(f"{path} is a ResNet CLIP; expected a vision transformer")
    if "visual.conv1.weight" not in weights:
        raise UnsupportedFormat(
            f"{path} is not a CLIP in OpenAI's layout: it lacks visual.conv1.weight; "
            "give the model in its Hugging Face form"
        )
    tensors = Tensors(path, weights)
    text = _text(tensors, "text." if "text.positional_embedding" in weights else "", shape)
    vision = _vision(tensors, shape)
    tensors.check_all_used(_IGNORED)
    return text, vision


def _text(tensors: Tensors, prefix: str, shape: Shape) -> TextTower:
    positions = tensors.take(f"{prefix}positional_embedding", 2)
    width = positions.shape[1]
    tokens = tensors.take(f"{prefix}token_embedding.weight", 2, None, width)
    eot = len(tokens) - 1 if shape.eot_id is None else shape.eot_id
    return TextTower(
        context_length=len(positions),
        heads=shape.text_heads or width // _HEAD_SIZE or 1,
        epsilon=_EPSILON,
        activation=shape.activation,
        tokens=tokens,
        positions=positions,
        blocks=_blocks(tensors, f"{prefix}transformer.resblocks.", width),
        norm_after=tensors.norm(f"{prefix}ln_final", width),
        projection=_projection(tensors, f"{prefix}text_projection", width),
        eot_id=eot,
        causal=True,
    )


def _vision(tensors: Tensors, shape: Shape) -> VisionTower:
    patches = tensors.take("visual.conv1.weight", 4)
    width, patch = patches.shape[0], patches.shape[2]
    positions = tensors.take("visual.positional_embedding", 2, None, width)
    side = round((len(positions) - 1) ** 0.5)
    if side * side + 1 != len(positions):
        raise UnsupportedFormat(f"{tensors.path} takes pictures that are not square")
    return VisionTower(
        size=side * patch,
        patch=patch,
        heads=shape.vision_heads or width // _HEAD_SIZE or 1,
        epsilon=_EPSILON,
        activation=shape.activation,
        patches=Affine(patches, None),
        class_token=tensors.take("visual.class_embedding", 1, width),
        positions=positions,
        norm_before=tensors.norm("visual.ln_pre", width),
        blocks=_blocks(tensors, "visual.transformer.resblocks.", width),
        norm_after=tensors.norm("visual.ln_post", width),
        projection=Affine(tensors.take("visual.proj", 2, width, None), None),
    )


def _projection(tensors: Tensors, name: str, width: int) -> Affine:
    """Take a projection: a matrix (width, dim) in most files, a linear layer in some of open_clip."""
    if f"{name}.weight" in tensors:
        return tensors.affine(name, width)
    return Affine(tensors.take(name, 2, width, None), None)


def _blocks(tensors: Tensors, prefix: str, width: int) -> tuple[Block, ...]:
    return tuple(
        Block(
            norm_1=tensors.norm(f"{prefix}{i}.ln_1", width),
            qkv=Affine(
                np.ascontiguousarray(
                    tensors.take(f"{prefix}{i}.attn.in_proj_weight", 2, 3 * width, width).T
                ),
                tensors.take(f"{prefix}{i}.attn.in_proj_bias", 1, 3 * width),
            ),
            out=tensors.affine(f"{prefix}{i}.attn.out_proj", width),
            norm_2=tensors.norm(f"{prefix}{i}.ln_2", width),
            up=tensors.affine(f"{prefix}{i}.mlp.c_fc", width),
            down=tensors.affine(f"{prefix}{i}.mlp.c_proj", None),
        )
        for i in range(count_layers(tensors, prefix))
    )
