"""A folder of pictures as a source: in natural order, with captions from tables or files beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from pairdex.encoders.caption_tables import is_caption_table, read_caption_tables
from pairdex.encoders.captions import ALL_CAPTIONS, CaptionTable, one_line
from pairdex.encoders.columns import TAKEN, JsonColumns, Texts
from pairdex.encoders.encodings import decoded_all
from pairdex.encoders.scan import FileStamp, Scan, scan_folder, suffix_of
from pairdex.encoders.sources import PHOTO_FACTS, Place, Sample, file_stamp, not_utf8
from pairdex.errors import MissingFile
from pairdex.files import foreign_json

__all__ = [
    "FolderContent",
    "PictureFolder",
    "Said",
    "list_pictures",
    "natural",
    "read_folder",
    "sample_of",
]

_BESIDE = (".txt", ".json")  # sources of captions, in ascending priority
_MEASURED = ("width", "height")  # of the picture: measured when it is decoded
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder in natural order; `schema` are the columns of their further values.

    `notes` are remarks on files, by name; `linked` are the outside folders that links point to.
    """

    root: Path
    schema: pa.Schema
    pictures: tuple[Sample, ...]
    facts: Sequence[str] = ()
    notes: tuple[tuple[str, str], ...] = ()
    linked: tuple[str, ...] = ()

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
        """Return the state of the files, with captions and values."""
        return [
            (one.name, one.reason or file_stamp(self.root / one.name), one.caption, one.values)
            for one in self.pictures[start:stop]
        ]


@dataclass(frozen=True)
class Said:
    """Caption and values of a picture from outside its file."""

    caption: str = ""
    values: dict[str, object] = field(default_factory=dict)
    note: str = ""


class FolderContent:
    """The content of a folder, by its file names and caption tables.

    Attributes
    ----------
    names
        Pictures, and files listed as pictures, in natural order.
    """

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.root = scan.root
        self.table: CaptionTable = read_caption_tables(scan.root, scan.files)
        found = {*scan.pictures(), *scan.troubles, *self.table.captions}
        self.names = sorted(found, key=natural)
        self._beside = _files_beside(scan)

    def stamps(self, name: str) -> tuple[FileStamp | None, ...]:
        """Return the stamps of a picture and of the files beside it; the first may be None."""
        return (
            self.scan.files.get(name),
            *(self.scan.files[other] for other in self._others(name)),
        )

    def said(self, names: Iterable[str]) -> dict[str, Said]:
        """Return captions and values from tables and files beside the pictures; read those files."""
        beside = {name: self._others(name) for name in names}
        texts = {file for files in beside.values() for file in files if file not in self._objects}
        data, notes = _read(self.root, texts)
        captions, encodings = decoded_all(data)
        notes |= {file: f"{file} was read as {code}" for file, code in encodings.items()}
        return {name: self._joined(name, files, captions, notes) for name, files in beside.items()}

    def trouble(self, name: str) -> str:
        """Return why a name cannot be a readable picture; empty if no reason is known yet."""
        known = self.scan.troubles.get(name, "")
        return known or (not_utf8(name) if name in self.scan.files else "")

    @property
    def notes(self) -> list[tuple[str, str]]:
        """Notes on the folder's files, by name."""
        closed = [(name, f"not looked at: {why}") for name, why in self.scan.closed.items()]
        again = [(name, "a link to what is here already") for name in self.scan.repeated]
        return [*closed, *again, *self.table.problems]

    @cached_property
    def _objects(self) -> set[str]:
        return {name for name in self.scan.files if suffix_of(name) == ".json"}

    def _others(self, name: str) -> list[str]:
        stem = name[: -len(suffix_of(name)) or None]
        found = [self._beside.get((stem, suffix)) for suffix in _BESIDE]
        return [other for other in found if other is not None]

    def _joined(
        self, name: str, files: Sequence[str], captions: dict[str, str], notes: dict[str, str]
    ) -> Said:
        values: dict[str, object] = {}
        caption, said = "", [notes[file] for file in files if file in notes]
        for file in files:
            if file in captions:
                caption = one_line(captions[file])
            elif file in self._objects:
                content, problem = _json_object(self.root / file)
                said += [f"{file}: {problem}"] if problem else []
                value = content.pop("caption", None)
                values = {key: value for key, value in content.items() if key not in _MEASURED}
                caption = caption or (one_line(value) if isinstance(value, str) else "")
        if name in self.table.captions:
            caption = self.table.captions[name]
            values |= self.table.values[name]
        else:
            values = self.table.blank | values
        if name in self.table.several:
            values[ALL_CAPTIONS] = Texts(self.table.several[name])
        return Said(caption, values, "; ".join(said))


def read_folder(root: Path) -> FolderContent:
    """Inspect a folder of pictures.

    Raises
    ------
    MissingFile
        The folder does not exist or cannot be listed.
    """
    if not root.is_dir():
        raise MissingFile(f"{root} is not a folder; expected a folder of pictures")
    scan = scan_folder(root)
    if "." in scan.closed:
        raise MissingFile(f"{root} cannot be listed: {scan.closed['.']}")
    return FolderContent(scan)


def list_pictures(root: Path, *, exif: bool = True) -> PictureFolder:
    """Find the pictures in a folder and the folders in it, hidden ones left out.

    A picture is a file with the suffix of one, or a file that a table of captions lists. The order is
    natural: `b2.jpg` comes before `b10.jpg`. A `.json` beside a picture, as img2dataset writes it,
    gives its caption and further columns.

    Parameters
    ----------
    exif
        Whether EXIF facts of the pictures become columns: `PHOTO_FACTS`.

    Raises
    ------
    MissingFile
        The folder does not exist, or holds no pictures.
    """
    content = read_folder(root)
    if not set(content.names) - set(content.scan.troubles):
        raise MissingFile(
            f"{root} holds no pictures{_instead(content)}; expected .jpg, .png or the like"
        )
    said = content.said(content.names)
    facts = PHOTO_FACTS if exif else ()
    columns = JsonColumns(dict(content.table.columns.kinds), TAKEN | set(facts))
    for one in said.values():
        columns.see(one.values)
    samples = tuple(sample_of(content, name, said[name], columns) for name in content.names)
    return PictureFolder(
        root, columns.schema, samples, facts, tuple(content.notes), tuple(content.scan.linked)
    )


def sample_of(content: FolderContent, name: str, said: Said, columns: JsonColumns) -> Sample:
    """Return a picture of the folder as a sample to encode."""
    place, reason = Place(os.fspath(content.root / name)), content.trouble(name)
    return Sample(
        name,
        said.caption,
        columns.values(said.values),
        None if reason else place,
        reason,
        said.note,
    )


def natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Return a key that compares runs of digits as numbers; equal ones by their spelling."""
    pieces = _NUMBERS.split(name)
    words, numbers = pieces[::2], [int(number) for number in pieces[1::2]]
    return list(zip(words, [*numbers, -1], strict=True)), name


def _instead(content: FolderContent) -> str:
    """Describe picture-like content of a folder without pictures."""
    if not content.scan.troubles:
        return ""
    name, why = next(iter(content.scan.troubles.items()))
    return f" that can be read ({name}: {why})"


def _files_beside(scan: Scan) -> dict[tuple[str, str], str]:
    """Return the files that may describe a picture, by its name without suffix and by their suffix.

    `IMG_1.TXT` belongs to `IMG_1.JPG`; if `IMG_1.txt` exists too, that file is used.
    """
    found: dict[tuple[str, str], str] = {}
    for name in scan.files:
        suffix = suffix_of(name)
        if suffix in _BESIDE and not is_caption_table(name):
            key = name[: -len(suffix)], suffix
            if key not in found or name.endswith(suffix):
                found[key] = name
    return found


def _read(root: Path, names: Iterable[str]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the bytes of files, and the errors of unreadable ones."""
    data, notes = dict[str, bytes](), dict[str, str]()
    for name in names:
        content, problem = _bytes(root / name)
        if problem:
            notes[name] = f"{name}: {problem}"
        else:
            data[name] = content
    return data, notes


def _bytes(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a file, or no bytes and the reason."""
    try:
        return path.read_bytes(), ""
    except OSError as error:
        return b"", f"it cannot be read: {error.strerror}"


def _json_object(path: Path) -> tuple[dict[str, object], str]:
    """Return a JSON object, or an empty one and the reason."""
    data, problem = _bytes(path)
    if problem:
        return {}, problem
    try:
        content = foreign_json.parse(data)
    except ValueError:
        return {}, "it is not JSON"
    return (content, "") if isinstance(content, dict) else ({}, "it is not a JSON object")
