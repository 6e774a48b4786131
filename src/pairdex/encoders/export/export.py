"""From a published model to a model folder: both towers as ONNX, the tokenizer, and `model.json`."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pairdex.arguments import StrPath, checked
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.export.hf_folder import HF_CONFIG, read_hugging_face
from pairdex.encoders.export.onnx_towers import text_model, vision_model
from pairdex.encoders.export.open_clip_folder import (
    OPEN_CLIP_CONFIG,
    read_open_clip,
    read_weights_file,
)
from pairdex.encoders.export.published import Published
from pairdex.encoders.export.quantise import quantised
from pairdex.encoders.export.towers import Activation
from pairdex.encoders.model import FORMAT, Precision, load_model
from pairdex.errors import InvalidArgument, MissingFile, UnsupportedFormat
from pairdex.files import atomic, lock

__all__ = ["ExportReport", "convert", "export_model"]


@dataclass(frozen=True)
class ExportReport:
    """The exported model. The same weights always give the same checksum."""

    model: str
    dim: int
    files: list[str]
    kind: str
    activation: str
    precision: str
    checksum: str
    bytes: int
    seconds: float


@checked
def export_model(
    source: StrPath,
    folder: StrPath,
    *,
    name: str | None = None,
    activation: Activation | None = None,
    int8: bool = False,
) -> ExportReport:
    """Write the model folder of a published model. Pickled weights need the extra `export`.

    If the folder holds this very model already, it stays as it is: an export that was killed after its
    last step is done.

    Parameters
    ----------
    source
        A local Hugging Face directory of a CLIP or SigLIP, an open_clip directory, or a `.pt` of
        OpenAI's or open_clip's.
    folder
        A new folder.
    name
        Name of the model; default: the name of the source.
    activation
        Replaces the activation that the source states.
    int8
        Store the matrices as 8-bit integers: a quarter of the size, about three times the speed, other
        vectors. It is a different model: never mix its vectors with those of the float32 one.

    Raises
    ------
    PairdexError
        Not a model, an unknown or damaged one, a folder that holds something else, disk full.
    """
    return convert(Path(source), Path(folder), name=name, activation=activation, int8=int8)


def convert(
    place: Path,
    target: Path,
    *,
    name: str | None = None,
    activation: Activation | None = None,
    int8: bool = False,
    origin: str = "",
) -> ExportReport:
    """Write the model folder of a published model; see `export_model`.

    `origin` is what `model.json` says of the place that the files came from.
    """
    started = time.perf_counter()
    is_taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if is_taken and not (target / "model.json").is_file():
        raise _taken(target)
    published = _published(place, activation)
    precision: Precision = "int8" if int8 else "float32"
    called = (name or published.name) + ("-int8" if int8 else "")
    before = load_model(target) if is_taken else None
    if before is not None and before.name != called:
        raise _taken(target)
    kind, used = published.kind, published.vision.activation
    with _staging(target) as staging:
        _write(published, staging, called, precision, origin)
        del published  # trying the towers takes as much memory
        if before is None:
            _try_out(staging)
            _publish(staging, target)
        elif load_model(staging).checksum != before.checksum:
            raise _taken(target)
    model = load_model(target)
    files = sorted(path.name for path in target.iterdir())
    return ExportReport(
        model=model.name,
        dim=model.dim,
        files=files,
        kind=kind,
        activation=used,
        precision=precision,
        checksum=model.checksum,
        bytes=sum((target / file).stat().st_size for file in files),
        seconds=time.perf_counter() - started,
    )


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside the target, locked; remove what is left of it."""
    atomic.make_folder(target.parent)
    staging = target.with_name(f".{target.name}.partial")
    atomic.make_folder(staging)
    with lock.writing(staging):
        try:
            atomic.empty_folder(staging)  # of what a killed export has left
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _taken(target: Path) -> InvalidArgument:
    return InvalidArgument(f"{target} exists and is not empty; name a new folder", field="folder")


def _publish(staging: Path, target: Path) -> None:
    if target.exists():
        target.rmdir()
    staging.rename(target)
    atomic.sync_folder(target.parent)


def _published(source: Path, activation: Activation | None) -> Published:
    """Read a model; its files determine its kind."""
    if source.is_file():
        return read_weights_file(source, activation)
    if not source.is_dir():
        raise MissingFile(f"{source} does not exist; expected the folder or the .pt of a model")
    if (source / OPEN_CLIP_CONFIG).is_file():
        return read_open_clip(source, activation)
    if (source / HF_CONFIG).is_file():
        return read_hugging_face(source, activation)
    raise UnsupportedFormat(
        f"{source} is not a model: it has neither {HF_CONFIG} (Hugging Face) nor {OPEN_CLIP_CONFIG}"
    )


def _write(
    published: Published, folder: Path, name: str, precision: Precision, origin: str
) -> None:
    """Write the files of a model, one tower at a time: each may take gigabytes of memory."""
    digests = {"tokenizer.json": _write_file(folder / "tokenizer.json", published.tokenizer)}
    towers: dict[str, Callable[[], bytes]] = {
        "text.onnx": lambda: text_model(published.text),
        "vision.onnx": lambda: vision_model(published.vision),
    }
    for file, make in towers.items():
        digests[file] = _write_file(
            folder / file, quantised(make()) if precision == "int8" else make()
        )
    content = {
        "format": FORMAT,
        "name": name,
        "dim": published.text.projection.weight.shape[1],
        "image": asdict(published.image_spec),
        "text": asdict(published.text_spec),
        "source": ", ".join(
            filter(
                None,
                [
                    f"exported by pairdex from {published.kind}",
                    published.vision.activation,
                    origin,
                ],
            )
        ),
        "files": dict(sorted(digests.items())),
    }
    if precision != "float32":
        content["precision"] = precision
    atomic.write_bytes(folder / "model.json", (json.dumps(content, indent=2) + "\n").encode())


def _write_file(path: Path, data: bytes) -> str:
    atomic.write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def _try_out(folder: Path) -> None:
    """Run both towers once: a model that does not run must not get its final name."""
    encoder = Encoder(load_model(folder), device="cpu")
    encoder.encode_texts(["a picture"])
    size = encoder.model.image.size
    encoder.encode_pixels(np.zeros((2, 3, size, size), np.float32))
