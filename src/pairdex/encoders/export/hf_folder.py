"""Reads models in Hugging Face's format: a directory of CLIP or SigLIP with its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pairdex.encoders.export.hf_layout import MODEL_TYPES, read_hf_towers
from pairdex.encoders.export.published import (
    OPENAI_MEAN,
    OPENAI_STD,
    Published,
    check_vocabulary,
    clip_model,
    find_weights,
    read_json,
)
from pairdex.encoders.export.tokenizers import EOT, token_id, tokenizer_of
from pairdex.encoders.export.towers import Activation
from pairdex.encoders.model import Cleaning, ImageSpec, TextSpec
from pairdex.errors import Mismatch, MissingFile, UnsupportedFormat

__all__ = ["HF_CONFIG", "read_hugging_face"]

HF_CONFIG = "config.json"

_HALF = (0.5, 0.5, 0.5)
_RESAMPLE: dict[int, Literal["bicubic", "bilinear"]] = {2: "bilinear", 3: "bicubic"}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class _SiglipText:
    """How a SigLIP reads texts: the marks at the end and behind it, and how texts are cleaned."""

    kind: str
    end: str
    pad: str
    cleaning: Cleaning


_SIGLIP = _SiglipText("Hugging Face SigLIP", "</s>", "</s>", "siglip")
# SigLIP 2: `lower|tok(length=64, model="gemma", bos="no", eos="sticky")` in big_vision's demo.
_SIGLIP_2 = _SiglipText("Hugging Face SigLIP 2", "<eos>", "<pad>", "lower")
_SIGLIPS = {
    "SiglipTokenizer": _SIGLIP,
    "SiglipTokenizerFast": _SIGLIP,
    "GemmaTokenizer": _SIGLIP_2,
    "GemmaTokenizerFast": _SIGLIP_2,
    "Siglip2Tokenizer": _SIGLIP_2,
}

# Defaults of the library, which configurations may omit.
_CLIP_TEXT = {
    "hidden_size": 512, "num_attention_heads": 8, "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5, "eos_token_id": 49407,
}  # fmt: skip
_CLIP_VISION = {
    "hidden_size": 768, "num_attention_heads": 12, "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5, "image_size": 224, "patch_size": 32,
}  # fmt: skip
_SIGLIP_TEXT = {
    "hidden_size": 768, "num_attention_heads": 12, "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}  # fmt: skip
_SIGLIP_VISION = _SIGLIP_TEXT | {"image_size": 224, "patch_size": 16}


def read_hugging_face(folder: Path, activation: Activation | None) -> Published:
    """Read a Hugging Face directory."""
    path = folder / HF_CONFIG
    config = read_json(path)
    kind = config.get("model_type")
    if kind not in MODEL_TYPES:
        raise UnsupportedFormat(
            f"{path} is a model of type {kind}, expected one of {', '.join(MODEL_TYPES)}"
        )
    tokenizer = tokenizer_of(folder)
    if tokenizer is None:
        raise MissingFile(
            f"{folder} has no tokenizer.json; make it with transformers: "
            "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
        )
    siglip = kind == "siglip"
    text_defaults, vision_defaults = (
        (_SIGLIP_TEXT, _SIGLIP_VISION) if siglip else (_CLIP_TEXT, _CLIP_VISION)
    )
    filled = {
        "model_type": kind,
        "text_config": text_defaults | (config.get("text_config") or {}),
        "vision_config": vision_defaults | (config.get("vision_config") or {}),
    }
    if activation is not None:
        names = {"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh"}
        for group in ("text_config", "vision_config"):
            filled[group]["hidden_act"] = names[activation]
    file, weights = find_weights(folder, _WEIGHTS)
    eot = 0 if siglip else _hf_eot(filled["text_config"], tokenizer, folder)
    text, vision = read_hf_towers(weights, filled, file, eot_id=eot)
    image = _hf_image_spec(folder, vision.size, siglip=siglip)
    name = folder.resolve().name
    if not siglip:
        return clip_model(name, "Hugging Face CLIP", (text, vision), tokenizer, image)
    rules = _siglip_text(folder)
    check_vocabulary(name, tokenizer, text)
    end, pad = (token_id(tokenizer, token, folder) for token in (rules.end, rules.pad))
    spec = TextSpec(text.context_length, "fixed", pad, None, end, rules.cleaning)
    return Published(name, rules.kind, text, vision, tokenizer, image, spec)


def _hf_eot(config: dict[str, Any], tokenizer: bytes, folder: Path) -> int:
    """Return the id of the end token; old files say 2 and mean the highest id in a text."""
    said = config["eos_token_id"]
    return token_id(tokenizer, EOT, folder) if said == 2 else int(said)


def _siglip_text(folder: Path) -> _SiglipText:
    """Return how the model reads texts: its tokenizer tells SigLIP and SigLIP 2 apart."""
    path = folder / "tokenizer_config.json"
    said = read_json(path).get("tokenizer_class") if path.is_file() else None
    rules = _SIGLIP if said is None else _SIGLIPS.get(said)
    if rules is None:
        raise UnsupportedFormat(
            f"{path}: the tokenizer is a {said}, expected one of {', '.join(_SIGLIPS)}"
        )
    return rules


def _hf_image_spec(folder: Path, size: int, *, siglip: bool) -> ImageSpec:
    said = _hf_preprocessing(folder)
    resample = said.get("resample", 3)
    crop = bool(said.get("do_center_crop", not siglip))
    wanted = said.get("crop_size" if crop else "size")
    sides = set(wanted.values()) if isinstance(wanted, dict) else {wanted}
    if sides - {size, None} or resample not in _RESAMPLE:
        raise Mismatch(
            f"{folder} prepares pictures as {wanted} with resampling {resample}, "
            f"the model takes {size} x {size}, bicubic or bilinear"
        )
    return ImageSpec(
        size,
        "crop" if crop else "squash",
        _RESAMPLE[resample],
        tuple(said.get("image_mean", _HALF if siglip else OPENAI_MEAN)),
        tuple(said.get("image_std", _HALF if siglip else OPENAI_STD)),
    )


def _hf_preprocessing(folder: Path) -> dict[str, Any]:
    """Return the settings for pictures; newer releases write them into another file."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            content = read_json(folder / name)
            inner = content.get("image_processor", content)
            return inner if isinstance(inner, dict) else {}
    return {}
