"""A published model as an export needs it, and the steps that all kinds of models share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairdex.encoders.export.tokenizers import EOT, SOT, token_id
from pairdex.encoders.export.towers import TextTower, VisionTower
from pairdex.encoders.export.weights import Weights, read_weights
from pairdex.encoders.model import ImageSpec, TextSpec
from pairdex.errors import DamagedFile, Mismatch, MissingFile
from pairdex.files import foreign_json

__all__ = [
    "OPENAI_MEAN",
    "OPENAI_STD",
    "Published",
    "Towers",
    "check_vocabulary",
    "clip_model",
    "find_weights",
    "read_json",
]

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)  # clip/clip.py
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

Towers = tuple[TextTower, VisionTower]


@dataclass(frozen=True)
class Published:
    """A model with everything that determines its vectors."""

    name: str
    kind: str
    text: TextTower
    vision: VisionTower
    tokenizer: bytes
    image_spec: ImageSpec
    text_spec: TextSpec


def clip_model(
    name: str, kind: str, towers: Towers, tokenizer: bytes, image: ImageSpec
) -> Published:
    """Assemble a CLIP model of any source.

    Raises
    ------
    MissingFile, Mismatch
        The tokenizer belongs to another model.
    """
    place, (text, vision) = Path(name), towers
    bos, eot = token_id(tokenizer, SOT, place), token_id(tokenizer, EOT, place)
    check_vocabulary(name, tokenizer, text)
    if text.eot_id != eot:
        raise Mismatch(
            f"{name} reads texts at the token {text.eot_id}, its tokenizer ends them with {eot}: "
            "the tokenizer belongs to another model"
        )
    spec = TextSpec(text.context_length, "dynamic", 0, bos, eot, "openai")
    return Published(name, kind, text, vision, tokenizer, image, spec)


def check_vocabulary(name: str, tokenizer: bytes, text: TextTower) -> None:
    """Refuse a tokenizer that produces ids unknown to the model.

    Raises
    ------
    Mismatch
        It has more tokens than the model.
    """
    content = foreign_json.parse(tokenizer)
    added = [one["id"] + 1 for one in content.get("added_tokens") or ()]
    size = max([len(content["model"]["vocab"]), *added])
    if size > len(text.tokens):
        raise Mismatch(
            f"the tokenizer of {name} has {size:,} tokens, the model knows {len(text.tokens):,}: "
            "it belongs to another model"
        )


def find_weights(folder: Path, names: tuple[str, ...]) -> tuple[Path, Weights]:
    """Read the first of these files that exists.

    Raises
    ------
    MissingFile, DamagedFile
        None exists, or it cannot be read.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name, read_weights(folder / name)
    raise MissingFile(f"{folder} has no weights in one file; expected {' or '.join(names)}")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    DamagedFile
        It is not a JSON object.
    """
    try:
        content = foreign_json.parse(path.read_bytes())
    except ValueError as error:
        raise DamagedFile(f"{path} is not JSON: {error}; fetch it again") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path} is not a JSON object; fetch it again")
    return content
