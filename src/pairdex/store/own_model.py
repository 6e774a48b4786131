"""The model that made a collection's vectors: found, and proved to be that one."""

from __future__ import annotations

from pairdex.arguments import StrPath
from pairdex.encoders.model import Model, load_model
from pairdex.errors import Mismatch, MissingFile
from pairdex.store.store import Store

__all__ = ["find_model"]


def find_model(store: Store, source: StrPath | None) -> Model:
    """Load the collection's model and prove that it is the collection's.

    Parameters
    ----------
    source
        The name or folder of the model, in the place of what the collection says.

    Raises
    ------
    MissingFile, Mismatch, DamagedFile, UnsupportedFormat
        No model is known or found, or it is another than the collection's, damaged, or of a newer version.
    """
    record = store.manifest.model
    if source is not None:
        place = source
    elif record is not None:
        place = record["folder"] or record["name"]
    else:
        raise MissingFile(
            f"{store.path} does not say which model made its vectors; name it with --model, "
            "or build the collection with --model"
        )
    model = load_model(place)
    if record is not None and model.checksum != record["checksum"]:
        raise Mismatch(
            f"{store.path} was made with the model {record['name']} ({record['checksum'][:12]}), "
            f"{place} is {model.name} ({model.checksum[:12]}): queries need the collection's own model"
        )
    if model.dim != store.dim:
        raise Mismatch(
            f"{store.path} has vectors of {store.dim} dimensions, the model {model.name} makes "
            f"{model.dim}: another model made them"
        )
    return model
