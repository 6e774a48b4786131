"""Open the pictures to encode: a folder of pictures, tars, or tables of paths or of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pairdex.arguments import StrPath
from pairdex.encoders.folder import list_pictures, natural
from pairdex.encoders.path_table import SUFFIXES as TABLES
from pairdex.encoders.path_table import PathTable, holds_pictures
from pairdex.encoders.patterns import local_places
from pairdex.encoders.pictures import SUFFIXES
from pairdex.encoders.sources import Source
from pairdex.encoders.tables import TableSource
from pairdex.encoders.tars import open_tars
from pairdex.errors import InvalidArgument, MissingFile

__all__ = ["named_in", "open_source"]


def open_source(images: StrPath | Sequence[StrPath], *, exif: bool = True) -> Source:
    """Open pictures to encode; the named files determine the kind of source.

    Raises
    ------
    MissingFile
        The name does not exist, or is empty.
    InvalidArgument
        A folder with pictures and tars, or a file that is neither a tar nor a table.
    DamagedFile, Mismatch
        A table is unreadable, or tables have different columns.
    """
    places = local_places(images)
    if len(places) > 1:
        return _several(places)
    (place,) = places
    if place.is_dir():
        return _folder(place, exif=exif)
    suffix = place.suffix.lower()
    if suffix == ".parquet" and place.is_file() and holds_pictures(place):
        return TableSource(place.parent, [place])
    if suffix in TABLES:
        return PathTable(place)
    if not place.is_file():
        raise MissingFile(f"{place} is not a folder; expected pictures: a folder, tars or a table")
    if suffix != ".tar":
        raise InvalidArgument(
            f"{place} is neither a folder nor a {', '.join(TABLES)} or .tar file", field="images"
        )
    return _not_empty(open_tars(place.parent, [place]), place)


def named_in(images: StrPath | Sequence[StrPath]) -> str | None:
    """Return the note's record of the named files; None for a folder."""
    places = local_places(images)
    if len(places) == 1 and places[0].is_dir():
        return None
    return ",".join(sorted((place.name for place in places), key=natural))


def _several(places: Sequence[Path]) -> Source:
    missing = [place for place in places if not place.is_file()]
    if missing:
        raise MissingFile(f"{missing[0]} is not a file; several places must be tars, or tables")
    folders = {place.parent.resolve() for place in places}
    if len(folders) > 1:
        raise InvalidArgument(
            f"{places[0]} and {places[-1]} lie in different folders; encode each folder by itself",
            field="images",
        )
    kinds = {place.suffix.lower() for place in places}
    if kinds == {".tar"}:
        return _not_empty(open_tars(places[0].parent, places), places[0].parent)
    if kinds == {".parquet"}:
        return TableSource(places[0].parent, sorted(places, key=lambda one: natural(one.name)))
    raise InvalidArgument(
        f"{len(places)} files with the suffixes {', '.join(sorted(kinds))} are named, "
        "expected .tar files or .parquet files",
        field="images",
    )


def _folder(place: Path, *, exif: bool) -> Source:
    names = [path for path in place.iterdir() if not path.name.startswith(".")]
    tars = [path for path in names if path.suffix.lower() == ".tar"]
    pictures = sorted(path.name for path in names if path.suffix.lower() in SUFFIXES)
    if tars and pictures:
        raise InvalidArgument(
            f"{place} holds tars ({tars[0].name}) and pictures ({pictures[0]}): "
            "name a folder of one kind",
            field="images",
        )
    if tars:
        return _not_empty(open_tars(place, tars), place)
    tables = sorted(place.rglob("*.parquet"), key=lambda one: natural(one.as_posix()))
    tables = [path for path in tables if not path.name.startswith(".") and holds_pictures(path)]
    if tables and not pictures:
        return TableSource(place, tables)
    return list_pictures(place, exif=exif)


def _not_empty(source: Source, place: Path) -> Source:
    if not len(source):
        raise MissingFile(f"{place} holds no pictures: its tars are empty")
    return source
