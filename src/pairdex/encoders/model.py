"""Read and check a model folder: its files, and how to prepare pictures and texts for it.

A folder holds `model.json`, `text.onnx`, `vision.onnx` and `tokenizer.json`; docs/models.md
describes them. The checksum of a model covers the files and every field that decides a vector, so
equal checksums mean equal vectors.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from pairdex.arguments import StrPath
from pairdex.encoders.fields import Fields
from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat
from pairdex.files import foreign_json
from pairdex.parts.model_record import ModelRecord

__all__ = [
    "BUILT_IN",
    "DEMO_KNOWS",
    "FORMAT",
    "ImageSpec",
    "Model",
    "Precision",
    "TextSpec",
    "load_model",
    "what_it_knows",
]

FORMAT = 1
BUILT_IN = "demo"
DEMO_KNOWS = "the model demo knows 24 drawn things; for photographs: --model ViT-B/32"

Precision = Literal["float32", "int8"]
Cleaning = Literal["openai", "siglip", "lower", "none"]
CLEANINGS: tuple[Cleaning, ...] = ("openai", "siglip", "lower", "none")
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")

_MANIFEST = "model.json"
_FILES = ("text.onnx", "tokenizer.json", "vision.onnx")
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class ImageSpec:
    """How to convert a picture to the model's input of `size` x `size` pixels.

    `crop` scales the shorter side to `size` and crops the centre; `squash` scales both sides.
    Channels are scaled to 0..1, then `mean` is subtracted and `std` divided by.
    """

    size: int
    resize_mode: Literal["crop", "squash"]
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class TextSpec:
    """How to convert a text to the model's input of at most `context_length` token ids.

    `dynamic` padding fills a batch to its longest text, which needs a causal text tower; `fixed`
    fills to `context_length`. `openai` cleaning repairs and lowers the text, `siglip` lowers it and
    removes punctuation, `lower` only lowers it, `none` does nothing.
    """

    context_length: int
    pad: Literal["dynamic", "fixed"]
    pad_id: int
    bos_id: int | None
    eot_id: int
    cleaning: Cleaning


@dataclass(frozen=True)
class Model:
    """A model whose files have been checked.

    `examples` are texts to try it with; `precision` is that of its weights.
    """

    name: str
    dim: int
    folder: Path
    checksum: str
    image: ImageSpec
    text: TextSpec
    source: str
    examples: tuple[str, ...] = ()
    precision: Precision = "float32"

    @property
    def text_file(self) -> Path:
        """The text tower: ids (batch, length) int64 to vectors (batch, dim) float32."""
        return self.folder / "text.onnx"

    @property
    def vision_file(self) -> Path:
        """The image tower: pixels (batch, 3, size, size) to vectors (batch, dim), both float32."""
        return self.folder / "vision.onnx"

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer, in the format of the `tokenizers` library."""
        return self.folder / "tokenizer.json"

    @property
    def knows(self) -> str:
        """The scope of a specialised model, in one line; empty for general models."""
        return what_it_knows(self.record())

    def record(self) -> ModelRecord:
        """Return the record of the model for collections; the built-in model has no folder."""
        folder = None if self.folder == _built_in() else str(self.folder.resolve())
        return {
            "name": self.name,
            "dim": self.dim,
            "checksum": self.checksum,
            "folder": folder,
        }


def what_it_knows(record: ModelRecord | None) -> str:
    """Return the scope of the recorded model, in one line; empty for a general model."""
    is_built_in = record is not None and record["folder"] is None and record["name"] == BUILT_IN
    return DEMO_KNOWS if is_built_in else ""


def load_model(name_or_folder: StrPath) -> Model:
    """Read and check a model folder.

    Parameters
    ----------
    name_or_folder
        `demo`, the model that comes with the package, or the path of a model folder.

    Raises
    ------
    MissingFile
        The folder does not exist, or lacks a file.
    DamagedFile
        A file is altered or truncated, or `model.json` is invalid.
    UnsupportedFormat
        The folder was written for a newer release.
    """
    if name_or_folder == BUILT_IN:
        return _read(_built_in())
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise MissingFile(
            f"the model {name_or_folder} does not exist; expected {BUILT_IN}, the name of a published "
            "model (pairdex model fetch), or the folder of a model (pairdex model export)"
        )
    return _read(folder)


def _built_in() -> Path:
    return Path(str(resources.files("pairdex.demo") / "model"))


def _read(folder: Path) -> Model:
    path = folder / _MANIFEST
    try:
        content = foreign_json.parse(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingFile(f"{folder} is not a model folder: it has no {_MANIFEST}") from error
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: {error}; export the model again") from error
    fields = Fields(path, content)
    version = fields.integer("format", least=1)
    if version > FORMAT:
        raise UnsupportedFormat(
            f"{path} is of format {version}, this release knows up to {FORMAT}; upgrade pairdex"
        )
    image, text = _image_spec(fields.inner("image")), _text_spec(fields.inner("text"))
    files = _checked_files(folder, fields.inner("files"))
    dim = fields.integer("dim", least=1)
    return Model(
        name=fields.string("name"),
        dim=dim,
        folder=folder,
        checksum=_checksum(files, dim, image, text),
        image=image,
        text=text,
        source=fields.string("source"),
        examples=fields.strings("examples"),
        precision=fields.optional_choice("precision", PRECISIONS, "float32"),
    )


def _image_spec(fields: Fields) -> ImageSpec:
    return ImageSpec(
        size=fields.integer("size", least=1),
        resize_mode=fields.choice("resize_mode", ("crop", "squash")),
        interpolation=fields.choice("interpolation", ("bicubic", "bilinear")),
        mean=fields.triple("mean"),
        std=fields.triple("std", positive=True),
    )


def _text_spec(fields: Fields) -> TextSpec:
    return TextSpec(
        context_length=fields.integer("context_length", least=2),
        pad=fields.choice("pad", ("dynamic", "fixed")),
        pad_id=fields.integer("pad_id", least=0),
        bos_id=fields.optional_integer("bos_id", least=0),
        eot_id=fields.integer("eot_id", least=0),
        cleaning=fields.choice("cleaning", CLEANINGS),
    )


def _checked_files(folder: Path, expected: Fields) -> dict[str, str]:
    """Return the SHA-256 of each file, after comparing it with the one in `model.json`."""
    found = {}
    for name in _FILES:
        path, wanted = folder / name, expected.string(name)
        try:
            found[name] = _sha256(path)
        except FileNotFoundError as error:
            raise MissingFile(f"{path} is missing; export or copy the model again") from error
        if found[name] != wanted:
            raise DamagedFile(
                f"{path} has the SHA-256 {found[name][:12]}…, {_MANIFEST} says {wanted[:12]}…: "
                "it is altered or of another model; export or copy the model again"
            )
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _checksum(files: dict[str, str], dim: int, image: ImageSpec, text: TextSpec) -> str:
    content = {"files": files, "dim": dim, "image": asdict(image), "text": asdict(text)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
