"""Check whether a model made a collection's vectors: encode a sample of rows again and compare."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.encoders.activation_swap import swapped
from pairdex.encoders.agreement import Agreement, of_similarities, of_vectors
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device, Encoder
from pairdex.encoders.first_use import named_model, recorded_place
from pairdex.encoders.model import Cleaning, Model
from pairdex.encoders.pictures import Orientation, open_picture
from pairdex.errors import InvalidArgument, Mismatch, MissingFile, PairdexError
from pairdex.knn.distance import normalise
from pairdex.store.own_model import is_recorded
from pairdex.store.pictures import picture_path
from pairdex.store.sharded import open_store
from pairdex.store.store import Store

__all__ = ["DEFAULT_SAMPLE", "ModelReport", "Verdict", "verify_model"]

DEFAULT_SAMPLE = 256  # rows: takes seconds on a CPU, and shows a difference in 1 % of the rows

Verdict = Literal["same", "cleaning", "activation", "precision", "related", "other"]

_ENOUGH = 0.99  # the share of rows that must agree
_RELATED = 0.5  # the share or correlation above which the models are related
_ROUNDING = 1e-6  # the mean of 1 - cos between vectors and their float16 copies
_EXPLAINED = 0.2  # the share of a difference that may remain once its cause is removed
_NEAR = 0.97  # the median cosine between vectors of an int8 model and of its float32 original

_EXPLANATIONS: dict[Verdict, str] = {
    "same": "this model made the vectors",
    "cleaning": "the right model, but the stored texts were prepared differently: with the cleaning {detail}",
    "activation": "the right weights, but the wrong activation: GELU and QuickGELU are confused; "
    "export the model again with the other --activation",
    "precision": "an int8 version of the model that made the vectors, or of a similar one: its vectors are "
    "close to the stored ones, but must not be mixed with them",
    "related": "a different model, related to the one that made the vectors: another checkpoint of its "
    "training, another activation, or other preparation of pictures or texts",
    "other": "a different model, unrelated to the one that made the vectors: other weights or another "
    "architecture",
}


@dataclass(frozen=True)
class ModelReport:
    """The result of comparing a model with a collection.

    Attributes
    ----------
    agreement
        The smallest median over all comparisons, at most 1. Each comparison has a median cosine, or a
        median of 1 minus the difference of similarities.
    verdict
        `same`; the right weights with another `cleaning`, `activation` or `precision`; `related`;
        `other`.
    explanation
        The verdict in words.
    recorded
        Whether the collection records this model, by checksum; None if it records no model.
    texts, pictures, similarity
        The agreement of captions and of local pictures with the stored vectors. `similarity` replaces
        `texts` if no text vectors are stored: captions and stored image vectors against the column
        `similarity`.
    """

    agreement: float
    verdict: Verdict
    explanation: str
    model: str
    recorded: bool | None
    texts: Agreement | None
    pictures: Agreement | None
    similarity: Agreement | None
    seconds: float


_Picture = tuple[Path, Orientation]


@dataclass(frozen=True)
class _Sample:
    """Rows to compare: captions with text vectors, pictures with image vectors."""

    captions: list[str]
    text_vectors: NDArray[np.float16] | None
    similarity: NDArray[np.float64] | None
    image_vectors: NDArray[np.float16]  # of the rows of `captions`, for the similarity
    pictures: list[_Picture]
    picture_vectors: NDArray[np.float16]


@checked
def verify_model(
    collection: StrPath,
    *,
    model: StrPath | None = None,
    sample: int = DEFAULT_SAMPLE,
    seed: int = 0,
    device: Device = DEFAULT_DEVICE,
) -> ModelReport:
    """Check whether a model made a collection's vectors.

    A sample of captions and local pictures is encoded again and compared with the stored vectors.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    model
        The name or folder of the model to check. None: the model that the collection records.
    sample
        The largest number of texts, and of pictures, to compare.
    seed
        The random seed of the sample.
    device
        Where the model runs: auto, cpu or cuda.

    Raises
    ------
    PairdexError
        No model is given or found, its dimension differs from the collection's, or the collection has
        neither captions nor local pictures to compare.
    """
    started = time.perf_counter()
    if sample < 1:
        raise InvalidArgument(f"sample is {sample}, expected at least 1", field="sample")
    store = open_store(Path(collection))
    loaded = named_model(_place(store, model))
    if loaded.dim != store.dim:
        raise Mismatch(
            f"{store.path} has vectors of {store.dim} dimensions, the model {loaded.name} makes "
            f"{loaded.dim}; name the model that made them"
        )
    rows = _sample(store, sample, seed)
    found = _compared(rows, Encoder(loaded, device=device))
    verdict, detail = _judged(rows, found, loaded, device)
    record = store.manifest.model
    return ModelReport(
        agreement=min(one.median for one in found.values()),
        verdict=verdict,
        explanation=_EXPLANATIONS[verdict].format(detail=detail),
        model=loaded.name,
        recorded=None if record is None else is_recorded(record, loaded),
        texts=found.get("texts"),
        pictures=found.get("pictures"),
        similarity=found.get("similarity"),
        seconds=time.perf_counter() - started,
    )


def _place(store: Store, model: StrPath | None) -> StrPath:
    record = store.manifest.model
    if model is not None:
        return model
    if record is None:
        raise MissingFile(
            f"{store.path} does not record which model made its vectors; name the model with --model, "
            f"or record it once with: pairdex model set {store.path} MODEL"
        )
    return recorded_place(record)


def _sample(store: Store, count: int, seed: int) -> _Sample:
    """Choose rows with captions, and rows with local pictures."""
    live = np.arange(store.rows) if store.removed is None else np.flatnonzero(~store.removed)
    order = np.random.default_rng(seed).permutation(live)[
        : 20 * count
    ]  # some rows have no caption or picture
    images = store.vectors("image")
    has_texts = "text" in store.manifest.vectors
    known = [name for name in ("caption", "image_path", "similarity") if name in store.schema.names]
    table = store.take(order, known)
    captions = _column(table, "caption")
    captioned = [i for i, caption in enumerate(captions) if caption][:count]
    ids = order[captioned]
    similarity = None
    if "similarity" in known:
        similarity = np.array([_column(table, "similarity")[i] for i in captioned], np.float64)
    pictures = _pictures(store, order, _column(table, "image_path"), count)
    if not captioned and not pictures:
        raise InvalidArgument(
            f"{store.path} has neither captions nor local pictures, so no model can be compared with it",
            field="collection",
        )
    return _Sample(
        captions=[captions[i] for i in captioned],
        text_vectors=store.vectors("text")[ids] if has_texts else None,
        similarity=similarity,
        image_vectors=images[ids],
        pictures=list(pictures.values()),
        picture_vectors=images[np.array(list(pictures), np.int64)],
    )


def _column(table: pa.Table, name: str) -> list[Any]:
    return table[name].to_pylist() if name in table.column_names else [None] * len(table)


def _pictures(
    store: Store, ids: NDArray[np.int64], names: list[Any], count: int
) -> dict[int, _Picture]:
    """Return readable local pictures with their orientation, by id."""
    found: dict[int, _Picture] = {}
    for row, name in zip(ids.tolist(), names, strict=True):
        if len(found) == count:
            break
        part = store.part_of(row)
        path = picture_path(part, name)
        if path is not None and _is_readable(path):
            upright = part.orientation == "upright"  # older releases took them as stored
            found[row] = (path, "upright" if upright else "as stored")
    return found


def _is_readable(path: Path) -> bool:
    try:
        open_picture(path)
    except PairdexError:  # deleted or damaged since
        return False
    return True


def _compared(sample: _Sample, encoder: Encoder) -> dict[str, Agreement]:
    found: dict[str, Agreement] = {}
    if sample.captions:
        found |= _texts_compared(sample, encoder)
    if sample.pictures:
        found["pictures"] = of_vectors(sample.picture_vectors, _encoded(sample.pictures, encoder))
    if not found:
        raise InvalidArgument(
            "the collection has captions, but neither text vectors nor a column similarity, so no model "
            "can be compared with it",
            field="collection",
        )
    return found


def _texts_compared(sample: _Sample, encoder: Encoder) -> dict[str, Agreement]:
    if sample.text_vectors is not None:
        texts = encoder.encode_captions(sample.captions)
        return {"texts": of_vectors(sample.text_vectors, texts)}
    known = None if sample.similarity is None else np.isfinite(sample.similarity)
    if known is None or not known.any():
        return {}
    texts = encoder.encode_captions([c for c, k in zip(sample.captions, known, strict=True) if k])
    cosines = np.einsum("ij,ij->i", normalise(sample.image_vectors[known]), normalise(texts))
    assert sample.similarity is not None
    return {"similarity": of_similarities(sample.similarity[known], cosines)}


def _encoded(pictures: list[_Picture], encoder: Encoder) -> NDArray[np.float32]:
    batches = [
        encoder.encode_images(
            [
                open_picture(path, orientation=orientation)
                for path, orientation in pictures[i : i + encoder.image_batch]
            ]
        )
        for i in range(0, len(pictures), encoder.image_batch)
    ]
    return np.concatenate(batches)


def _judged(
    sample: _Sample, found: dict[str, Agreement], model: Model, device: Device
) -> tuple[Verdict, str]:
    """Return the verdict and its detail, tested by trying each possible cause of a difference."""
    if _error(found) <= _ROUNDING:
        return "same", ""
    for cleaning in get_args(Cleaning):
        other = replace(model, text=replace(model.text, cleaning=cleaning))
        if sample.captions and _explains(sample, found, other, device):
            return "cleaning", cleaning
    with _other_activation(model) as swapped_model:
        if swapped_model and _explains(sample, found, swapped_model, device):
            return "activation", ""
    median = min(one.median for one in found.values())
    if model.precision == "int8" and median >= _NEAR:
        return "precision", ""
    if _is_same(found):
        return "same", ""
    recognised = min(one.recognised for one in found.values())
    return ("related" if recognised >= _RELATED else "other"), ""


def _explains(sample: _Sample, found: dict[str, Agreement], other: Model, device: Device) -> bool:
    """Whether the vectors of `other` agree, and remove nearly all of the difference."""
    now = _compared(sample, Encoder(other, device=device))
    return _is_same(now) and _error(now) < _EXPLAINED * _error(found)


def _error(found: dict[str, Agreement]) -> float:
    return max(1 - one.mean for one in found.values())


def _is_same(found: dict[str, Agreement]) -> bool:
    return all(one.same >= _ENOUGH for one in found.values())


@contextmanager
def _other_activation(model: Model) -> Iterator[Model | None]:
    """Yield the model with its activation swapped, in a temporary folder; None if it has no activation."""
    with tempfile.TemporaryDirectory() as folder:
        other = replace(model, folder=Path(folder))
        for old, new in (
            (model.text_file, other.text_file),
            (model.vision_file, other.vision_file),
        ):
            data = swapped(old.read_bytes())
            if data is None:
                yield None
                return
            new.write_bytes(data)
        other.tokenizer_file.write_bytes(model.tokenizer_file.read_bytes())
        yield other
