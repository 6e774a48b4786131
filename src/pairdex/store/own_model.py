"""Find the model that made a collection's vectors, and check that it is the same model."""

from __future__ import annotations

from pairdex.arguments import StrPath
from pairdex.encoders.first_use import named_model, recorded_place
from pairdex.encoders.known_models import is_same_name
from pairdex.encoders.model import Model
from pairdex.errors import Mismatch, MissingFile
from pairdex.parts.model_record import ModelRecord, shown_model
from pairdex.store.store import Store

__all__ = ["find_model", "is_recorded"]


def find_model(store: Store, source: StrPath | None) -> Model:
    """Load the collection's model and compare its checksum and dimension with the collection.

    Parameters
    ----------
    source
        The name or folder of the model. None: the model that the collection names.

    Raises
    ------
    MissingFile
        The collection names no model and `source` is None, or the model was not found.
    Mismatch
        The model's checksum or dimension differs from the collection's.
    DamagedFile, UnsupportedFormat
        The model is damaged, or was written by a newer release.
    """
    record = store.manifest.model
    if source is not None:
        place = source
    elif record is not None:
        place = recorded_place(record)
    else:
        raise MissingFile(
            f"{store.path} does not record which model made its vectors; name the model with --model, "
            f"or record it once with: pairdex model set {store.path} MODEL"
        )
    model = named_model(place)
    if record is not None and not is_recorded(record, model):
        raise Mismatch(
            f"{store.path} was made with the model {shown_model(record)}, "
            f"but {place} is {model.name} ({model.checksum[:12]}); use the collection's own model"
        )
    if model.dim != store.dim:
        raise Mismatch(
            f"{store.path} has vectors of {store.dim} dimensions, the model {model.name} makes "
            f"{model.dim}; use the model that made them"
        )
    return model


def is_recorded(record: ModelRecord, model: Model) -> bool:
    """Return whether a model is the recorded one: by its checksum, or else by its name."""
    if record["checksum"] is None:
        return is_same_name(record["name"], model.name)
    return record["checksum"] == model.checksum
