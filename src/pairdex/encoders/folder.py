"""What is to be encoded: the pictures of a folder, in order, with their captions."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pairdex.encoders.captions import CaptionTable, read_caption_file, read_caption_table
from pairdex.encoders.pictures import SUFFIXES
from pairdex.errors import MissingFile

__all__ = ["PictureFile", "PictureFolder", "list_pictures"]

_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class PictureFile:
    """A picture by its path in the folder, with its caption and the values of further columns."""

    name: str
    caption: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder in natural order; `columns` names their further values."""

    root: Path
    columns: tuple[str, ...]
    pictures: tuple[PictureFile, ...]

    @property
    def has_captions(self) -> bool:
        """Whether any picture has a caption."""
        return any(picture.caption for picture in self.pictures)


def list_pictures(root: Path) -> PictureFolder:
    """Find the pictures in a folder and the folders in it, hidden ones left out.

    A picture is a file with the suffix of one, or a file that `captions.tsv` lists. The order is
    natural: `b2.jpg` comes before `b10.jpg`.

    Raises
    ------
    MissingFile
        There is no such folder, or no picture in it.
    DamagedFile
        Captions that cannot be read.
    """
    if not root.is_dir():
        raise MissingFile(f"{root} is no folder; expected a folder of pictures")
    table = read_caption_table(root)
    names = {name for name in _files(root) if Path(name).suffix.lower() in SUFFIXES}
    names.update(table.captions)
    if not names:
        raise MissingFile(f"{root} holds no pictures; expected .jpg, .png, .webp or the like")
    pictures = tuple(_picture(root, name, table) for name in sorted(names, key=_natural))
    return PictureFolder(root, table.columns, pictures)


def _files(root: Path) -> list[str]:
    found = []
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        place = Path(folder).relative_to(root)
        found += [(place / name).as_posix() for name in files if not name.startswith(".")]
    return found


def _natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Return a key that compares runs of digits as numbers; equal ones by their spelling."""
    pieces = _NUMBERS.split(name)
    words, numbers = pieces[::2], [int(number) for number in pieces[1::2]]
    return list(zip(words, [*numbers, -1], strict=True)), name


def _picture(root: Path, name: str, table: CaptionTable) -> PictureFile:
    caption = table.captions.get(name)
    if caption is None:
        caption = read_caption_file((root / name).with_suffix(".txt"))
    return PictureFile(name, caption, table.values.get(name, ("",) * len(table.columns)))
