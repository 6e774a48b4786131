"""Reads models in OpenAI's layout: folders of open_clip, and `.pt` files of OpenAI and open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pairdex.encoders.export.openai_layout import Shape, read_openai_towers
from pairdex.encoders.export.published import (
    OPENAI_MEAN,
    OPENAI_STD,
    Published,
    clip_model,
    find_weights,
    read_json,
)
from pairdex.encoders.export.tokenizers import clip_tokenizer, tokenizer_of
from pairdex.encoders.export.towers import Activation
from pairdex.encoders.export.weights import read_weights
from pairdex.encoders.model import ImageSpec
from pairdex.errors import DamagedFile, UnsupportedFormat

__all__ = ["OPEN_CLIP_CONFIG", "read_open_clip", "read_weights_file"]

OPEN_CLIP_CONFIG = "open_clip_config.json"

# Settings of open_clip that change nothing, or whose stated value is the supported one.
_SETTINGS: dict[str, Mapping[str, tuple[Any, ...]]] = {
    "vision_cfg": {
        "pool_type": ("tok",), "no_ln_pre": (False,), "attentional_pool": (False,),
        "final_ln_after_pool": (False,), "ls_init_value": (None,), "act_kwargs": (None, {}),
        "norm_kwargs": (None, {}), "timm_model_name": (None,), "pos_embed_type": ("learnable",),
    },
    "text_cfg": {
        "pool_type": ("argmax",), "no_causal_mask": (False,), "embed_cls": (False,),
        "proj_type": ("linear",), "ls_init_value": (None,), "act_kwargs": (None, {}),
        "norm_kwargs": (None, {}), "hf_model_name": (None,), "tokenizer_kwargs": (None, {}),
    },
}  # fmt: skip
_WEIGHTS = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pt",
)  # fmt: skip


def read_weights_file(path: Path, activation: Activation | None) -> Published:
    """Read a .pt. OpenAI's models use QuickGELU; a state dict of open_clip does not state it."""
    tokenizer = clip_tokenizer(path.parent)
    shape = Shape(activation or "quick_gelu")
    towers = read_openai_towers(read_weights(path), path, shape)
    image = ImageSpec(towers[1].size, "crop", "bicubic", OPENAI_MEAN, OPENAI_STD)
    return clip_model(path.stem, "OpenAI", towers, tokenizer, image)


def read_open_clip(folder: Path, activation: Activation | None) -> Published:
    """Read an open_clip directory."""
    path = folder / OPEN_CLIP_CONFIG
    config = read_json(path)
    model, pictures = config.get("model_cfg", config), config.get("preprocess_cfg", {})
    _check_open_clip(path, model)
    quick: Activation = "quick_gelu" if model.get("quick_gelu", False) else "gelu"
    width = model["vision_cfg"].get("width", 768)
    shape = Shape(
        activation or quick,
        text_heads=model["text_cfg"].get("heads", 8),
        vision_heads=width // model["vision_cfg"].get("head_width", 64),
    )
    tokenizer = tokenizer_of(folder) or clip_tokenizer(folder)
    file, weights = find_weights(folder, _WEIGHTS)
    towers = read_openai_towers(weights, file, shape)
    resize = pictures.get("resize_mode") or "shortest"
    if resize not in ("shortest", "squash"):
        raise UnsupportedFormat(f"{path}: the resize mode {resize} is not supported")
    image = ImageSpec(
        towers[1].size,
        "squash" if resize == "squash" else "crop",
        pictures.get("interpolation") or "bicubic",
        tuple(pictures.get("mean") or OPENAI_MEAN),
        tuple(pictures.get("std") or OPENAI_STD),
    )
    return clip_model(folder.resolve().name, "open_clip", towers, tokenizer, image)


def _check_open_clip(path: Path, model: dict[str, Any]) -> None:
    for group, allowed in _SETTINGS.items():
        if not isinstance(model.get(group), dict):
            raise DamagedFile(f"{path} has no {group}; fetch it again")
        for name, values in allowed.items():
            value = model[group].get(name, values[0])
            if value not in values:
                raise UnsupportedFormat(
                    f"{path}: {group}.{name} is {value!r}, which is not supported; "
                    "export its Hugging Face version if there is one"
                )
