"""Finding out what is to be encoded: a folder of pictures, tars, or a table of paths."""

from __future__ import annotations

from pathlib import Path

from pairdex.encoders.folder import list_pictures
from pairdex.encoders.path_table import SUFFIXES as TABLES
from pairdex.encoders.path_table import PathTable
from pairdex.encoders.pictures import SUFFIXES
from pairdex.encoders.sources import Source
from pairdex.encoders.tars import open_tars
from pairdex.errors import InvalidArgument, MissingFile

__all__ = ["open_source"]


def open_source(place: Path) -> Source:
    """Open pictures to encode, told by what `place` is.

    Raises
    ------
    MissingFile
        There is nothing of that name, or nothing in it.
    InvalidArgument
        A folder with pictures and tars, or a file that is neither a tar nor a table.
    DamagedFile, Mismatch
        Captions or a table that cannot be read.
    """
    if place.is_dir():
        return _folder(place)
    suffix = place.suffix.lower()
    if suffix in TABLES:
        return PathTable(place)
    if not place.is_file():
        raise MissingFile(f"{place} is no folder; expected a folder of pictures, a tar or a table")
    if suffix != ".tar":
        raise InvalidArgument(
            f"{place} is neither a folder nor a {', '.join(TABLES)} or .tar file", field="images"
        )
    return _not_empty(open_tars(place.parent, [place]), place)


def _folder(place: Path) -> Source:
    names = [path for path in place.iterdir() if not path.name.startswith(".")]
    tars = [path for path in names if path.suffix.lower() == ".tar"]
    if not tars:
        return list_pictures(place)
    pictures = sorted(path.name for path in names if path.suffix.lower() in SUFFIXES)
    if pictures:
        raise InvalidArgument(
            f"{place} holds tars ({tars[0].name}) and pictures ({pictures[0]}): "
            "name a folder of one kind",
            field="images",
        )
    return _not_empty(open_tars(place, tars), place)


def _not_empty(source: Source, place: Path) -> Source:
    if not len(source):
        raise MissingFile(f"{place} holds no pictures: its tars are empty")
    return source
