"""Models by name: a known one is fetched when it is first used, after one line that says so."""

from __future__ import annotations

from pathlib import Path

from pairdex.arguments import StrPath
from pairdex.encoders.announce import announced
from pairdex.encoders.known_models import cached_at, find_known, find_repository, model_cache
from pairdex.encoders.model import BUILT_IN, Model, load_model
from pairdex.errors import DamagedFile, MissingFile
from pairdex.parts.model_record import ModelRecord

__all__ = ["cached_folder", "model_place", "named_model", "record_of", "recorded_place"]


def named_model(name_or_folder: StrPath) -> Model:
    """Load a model by its folder or name; fetch a known one that is not in the cache.

    Raises
    ------
    PairdexError
        The model is damaged, is unknown, or cannot be fetched.
    """
    place = model_place(name_or_folder)
    try:
        return load_model(place)
    except (DamagedFile, MissingFile) as error:
        known = cached_at(Path(place))
        if known is None:
            raise
        again = f"to fetch it again: pairdex model fetch {known.name}"
        raise type(error)(f"{error}; {again}") from error


def model_place(name_or_folder: StrPath) -> StrPath:
    """Return the folder of a model; fetch a known one that is not in the cache.

    An existing folder of that name takes precedence over a known name.

    Raises
    ------
    PairdexError
        The model cannot be fetched.
    """
    cached = cached_folder(name_or_folder)
    if cached is None:
        return name_or_folder
    if cached.is_dir():
        return cached
    known = find_known(str(name_or_folder))
    if known is None:
        return name_or_folder
    # It brings what downloads and exports: most uses of a model need neither.
    from pairdex.encoders.fetch_model import bring_model  # noqa: PLC0415

    return Path(bring_model(known, announce=announced).folder)


def cached_folder(name_or_folder: StrPath) -> Path | None:
    """Return where the cache keeps the model of a name; None for a folder and for the built-in one."""
    if name_or_folder == BUILT_IN or Path(name_or_folder).is_dir():
        return None
    name = str(name_or_folder)
    known = find_known(name) or find_repository(name)
    return None if known is None else model_cache() / known.folder


def record_of(name_or_folder: StrPath) -> ModelRecord:
    """Return the record of a model for collections; fetch nothing.

    A known model that is not in the cache is recorded by its name: its checksum is then unknown.

    Raises
    ------
    PairdexError
        The model does not exist, or is damaged.
    """
    cached = cached_folder(name_or_folder)
    if cached is not None and cached.is_dir():
        return load_model(cached).record()
    known = None if cached is None else find_known(str(name_or_folder))
    if known is None or known.dim is None:
        return load_model(name_or_folder).record()
    return {"name": known.name, "dim": known.dim, "checksum": None, "folder": None}


def recorded_place(record: ModelRecord) -> StrPath:
    """Return where to find a recorded model: its folder, or its name if the folder has gone."""
    folder = record["folder"]
    if folder is not None and (Path(folder).is_dir() or find_known(record["name"]) is None):
        return folder
    return record["name"]
