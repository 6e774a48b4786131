"""A folder of pictures as a source: in natural order, with captions from a table or files beside them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyarrow as pa

from pairdex.encoders.captions import CaptionTable, read_caption_file, read_caption_table
from pairdex.encoders.columns import JsonColumns
from pairdex.encoders.pictures import SUFFIXES
from pairdex.encoders.sources import Place, Sample, file_stamp
from pairdex.errors import DamagedFile, MissingFile

__all__ = ["PictureFolder", "list_pictures", "natural"]

_CAPTION = ""  # no key of JSON that names anything
_MEASURED = ("width", "height")  # of the picture: measured when it is decoded
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder in natural order; `schema` are the columns of their further values."""

    root: Path
    schema: pa.Schema
    pictures: tuple[Sample, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the further columns."""
        return tuple(self.schema.names)

    @cached_property
    def has_captions(self) -> bool:
        """Whether any picture has a caption."""
        return any(picture.caption for picture in self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the pictures from `start` to before `stop`."""
        return self.pictures[start:stop]

    def stamp(self, start: int, stop: int) -> object:
        """Return the files as they stand, with captions and values."""
        return [
            (one.name, file_stamp(self.root / one.name), one.caption, one.values)
            for one in self.pictures[start:stop]
        ]


def list_pictures(root: Path) -> PictureFolder:
    """Find the pictures in a folder and the folders in it, hidden ones left out.

    A picture is a file with the suffix of one, or a file that `captions.tsv` lists. The order is
    natural: `b2.jpg` comes before `b10.jpg`. A `.json` beside a picture, as img2dataset writes it,
    gives its caption and further columns.

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
    files = set(_files(root))
    names = {name for name in files if Path(name).suffix.lower() in SUFFIXES}
    names.update(table.captions)
    if not names:
        raise MissingFile(f"{root} holds no pictures; expected .jpg, .png, .webp or the like")
    ordered = sorted(names, key=natural)
    beside = {name: _beside(root, name, files) for name in ordered}
    columns = JsonColumns(dict.fromkeys(table.columns, "text"))
    for content in beside.values():
        columns.see({key: value for key, value in content.items() if key != _CAPTION})
    samples = tuple(_sample(root, name, table, beside[name], columns) for name in ordered)
    return PictureFolder(root, columns.schema, samples)


def natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Return a key that compares runs of digits as numbers; equal ones by their spelling."""
    pieces = _NUMBERS.split(name)
    words, numbers = pieces[::2], [int(number) for number in pieces[1::2]]
    return list(zip(words, [*numbers, -1], strict=True)), name


def _files(root: Path) -> list[str]:
    found = []
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        place = Path(folder).relative_to(root)
        found += [(place / name).as_posix() for name in files if not name.startswith(".")]
    return found


def _beside(root: Path, name: str, files: set[str]) -> dict[str, object]:
    """Return what the files beside a picture say of it; its caption under `_CAPTION`."""
    text, more = (
        PurePosixPath(name).with_suffix(suffix).as_posix() for suffix in (".txt", ".json")
    )
    content = _json_object(root / more) if more in files else {}
    said = content.pop("caption", None)
    found = {key: value for key, value in content.items() if key not in _MEASURED}
    if text in files:
        found[_CAPTION] = read_caption_file(root / text)
    elif isinstance(said, str):
        found[_CAPTION] = " ".join(said.split())
    return found


def _json_object(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} is no JSON; repair or remove it") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path} is no JSON object; repair or remove it")
    return content


def _sample(
    root: Path, name: str, table: CaptionTable, beside: dict[str, object], columns: JsonColumns
) -> Sample:
    values: Mapping[str, object] = dict.fromkeys(table.columns, "") | beside
    if name in table.values:
        values = beside | dict(zip(table.columns, table.values[name], strict=True))
    caption = table.captions.get(name)
    if caption is None:
        said = beside.get(_CAPTION)
        caption = said if isinstance(said, str) else ""
    return Sample(name, caption, columns.values(values), Place(os.fspath(root / name)))
