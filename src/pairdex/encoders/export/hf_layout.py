"""The layout of Hugging Face's CLIP and SigLIP: `vision_model.encoder.layers.0.self_attn.q_proj.weight`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pairdex.encoders.export.layers import Tensors, count_layers
from pairdex.encoders.export.towers import (
    Activation,
    Affine,
    Block,
    PoolHead,
    TextTower,
    VisionTower,
)
from pairdex.encoders.export.weights import Weights
from pairdex.errors import UnsupportedFormat

__all__ = ["MODEL_TYPES", "read_hf_towers"]

MODEL_TYPES = ("clip", "siglip")

_ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}
_IGNORED = (
    "logit_scale",
    "logit_bias",
    "text_model.embeddings.position_ids",
    "vision_model.embeddings.position_ids",
)


def read_hf_towers(
    weights: Weights, config: dict[str, Any], path: Path, *, eot_id: int
) -> tuple[TextTower, VisionTower]:
    """Return the towers of a CLIP or SigLIP.

    Parameters
    ----------
    config
        The content of `config.json`, completed by the defaults of the library.
    eot_id
        The token at which CLIP's text vector is read.

    Raises
    ------
    UnsupportedFormat, DamagedFile
        An unsupported architecture; a tensor that is missing or has another shape.
    """
    tensors = Tensors(path, weights)
    siglip = config["model_type"] == "siglip"
    text = _text(tensors, config["text_config"], siglip=siglip, eot_id=eot_id)
    vision = _vision(tensors, config["vision_config"], siglip=siglip)
    tensors.check_all_used(_IGNORED)
    return text, vision


def _text(tensors: Tensors, config: dict[str, Any], *, siglip: bool, eot_id: int) -> TextTower:
    width = config["hidden_size"]
    positions = tensors.take("text_model.embeddings.position_embedding.weight", 2, None, width)
    head = "text_model.head" if siglip else "text_projection"
    return TextTower(
        context_length=len(positions),
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
        activation=_activation(config, tensors.path),
        tokens=tensors.take("text_model.embeddings.token_embedding.weight", 2, None, width),
        positions=positions,
        blocks=_blocks(tensors, "text_model.encoder.layers.", width),
        norm_after=tensors.norm("text_model.final_layer_norm", width),
        projection=tensors.affine(head, width),
        eot_id=None if siglip else eot_id,
        causal=not siglip,
    )


def _vision(tensors: Tensors, config: dict[str, Any], *, siglip: bool) -> VisionTower:
    width, patch = config["hidden_size"], config["patch_size"]
    place = "vision_model.embeddings"
    patches = tensors.take(f"{place}.patch_embedding.weight", 4, width, 3, patch, patch)
    bias = f"{place}.patch_embedding.bias"
    return VisionTower(
        size=config["image_size"],
        patch=patch,
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
        activation=_activation(config, tensors.path),
        patches=Affine(patches, tensors.take(bias, 1, width) if bias in tensors else None),
        class_token=None if siglip else tensors.take(f"{place}.class_embedding", 1, width),
        positions=tensors.take(f"{place}.position_embedding.weight", 2, None, width),
        # Their spelling, kept since the first release.
        norm_before=None if siglip else tensors.norm("vision_model.pre_layrnorm", width),
        blocks=_blocks(tensors, "vision_model.encoder.layers.", width),
        norm_after=tensors.norm("vision_model.post_layernorm", width),
        projection=None if siglip else tensors.affine("visual_projection", width),
        pool=_pool(tensors, width) if siglip else None,
    )


def _blocks(tensors: Tensors, prefix: str, width: int) -> tuple[Block, ...]:
    return tuple(
        Block(
            norm_1=tensors.norm(f"{prefix}{i}.layer_norm1", width),
            qkv=_side_by_side(
                [tensors.affine(f"{prefix}{i}.self_attn.{one}_proj", width) for one in "qkv"]
            ),
            out=tensors.affine(f"{prefix}{i}.self_attn.out_proj", width),
            norm_2=tensors.norm(f"{prefix}{i}.layer_norm2", width),
            up=tensors.affine(f"{prefix}{i}.mlp.fc1", width),
            down=tensors.affine(f"{prefix}{i}.mlp.fc2", None),
        )
        for i in range(count_layers(tensors, prefix))
    )


def _side_by_side(layers: list[Affine]) -> Affine:
    biases = [layer.bias for layer in layers if layer.bias is not None]
    return Affine(
        np.concatenate([layer.weight for layer in layers], axis=1),
        np.concatenate(biases) if biases else None,
    )


def _pool(tensors: Tensors, width: int) -> PoolHead:
    place = "vision_model.head"
    weight = tensors.take(f"{place}.attention.in_proj_weight", 2, 3 * width, width).T
    bias = tensors.take(f"{place}.attention.in_proj_bias", 1, 3 * width)
    return PoolHead(
        probe=tensors.take(f"{place}.probe", 3, 1, 1, width)[0],
        query=Affine(np.ascontiguousarray(weight[:, :width]), bias[:width]),
        key_value=Affine(np.ascontiguousarray(weight[:, width:]), bias[width:]),
        out=tensors.affine(f"{place}.attention.out_proj", width),
        norm=tensors.norm(f"{place}.layernorm", width),
        up=tensors.affine(f"{place}.mlp.fc1", width),
        down=tensors.affine(f"{place}.mlp.fc2", None),
    )


def _activation(config: dict[str, Any], path: Path) -> Activation:
    name = config["hidden_act"]
    if name not in _ACTIVATIONS:
        raise UnsupportedFormat(
            f"{path} has the activation {name}, known are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]
