"""Find the model that made a collection's vectors, and check that it is the same model."""

from __future__ import annotations

from pairdex.arguments import StrPath
from pairdex.encoders.model import Model, load_model
from pairdex.errors import Mismatch, MissingFile
from pairdex.store.store import Store

__all__ = ["find_model"]


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
        place = record["folder"] or record["name"]
    else:
        raise MissingFile(
            f"{store.path} does not record which model made its vectors; name the model with --model, "
            "or build the collection with --model"
        )
    model = load_model(place)
    if record is not None and model.checksum != record["checksum"]:
        raise Mismatch(
            f"{store.path} was made with the model {record['name']} ({record['checksum'][:12]}), "
            f"but {place} is {model.name} ({model.checksum[:12]}); use the collection's own model"
        )
    if model.dim != store.dim:
        raise Mismatch(
            f"{store.path} has vectors of {store.dim} dimensions, the model {model.name} makes "
            f"{model.dim}; use the model that made them"
        )
    return model
