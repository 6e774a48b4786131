"""The captions of a folder of pictures: a table for the folder, or a text file beside each picture.

The table is `captions.tsv`: one picture a line, fields between tabs. Its first line names the
columns if it begins with `file`, `filename`, `image` or `image_path`; the first column is the
picture, relative to the folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pairdex.encoders.columns import free_names
from pairdex.errors import DamagedFile

__all__ = ["TABLE", "CaptionTable", "read_caption_file", "read_caption_table"]

TABLE = "captions.tsv"

_FILE_NAMES = frozenset({"file", "filename", "image", "image_path"})
_CAPTION_NAMES = ("caption", "text", "title", "name")  # the first of these that is there


@dataclass(frozen=True)
class CaptionTable:
    """Captions by picture, and the further columns with their values in the same order."""

    captions: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_caption_file(path: Path) -> str:
    """Return the caption in a text file, on one line; an empty one if there is no such file.

    Raises
    ------
    DamagedFile
        The file is no UTF-8 text.
    """
    try:
        return " ".join(_text(path).split())
    except FileNotFoundError:
        return ""


def read_caption_table(folder: Path) -> CaptionTable:
    """Read `captions.tsv`; an empty table if there is none.

    Raises
    ------
    DamagedFile
        It is no UTF-8 text, a line has more fields than there are columns, or a picture comes twice
        or lies elsewhere.
    """
    path = folder / TABLE
    try:
        lines = _text(path).split("\n")
    except FileNotFoundError:
        return CaptionTable()
    rows = [(i, line.rstrip("\r").split("\t")) for i, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        return CaptionTable()
    header = _header(rows[0][1])
    if header is None:
        width = max(len(row) for _, row in rows)
        header = ["file", "caption", *(f"column_{i}" for i in range(3, width + 1))][:width]
    else:
        rows = rows[1:]
    return _table(path, header, rows)


def _header(first: list[str]) -> list[str] | None:
    names = [name.strip() for name in first]
    return names if names[0].lower() in _FILE_NAMES else None


def _table(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> CaptionTable:
    at = _caption_column(header)
    others = [i for i in range(1, len(header)) if i != at]
    table = CaptionTable(columns=free_names([header[i] for i in others], others))
    for number, row in rows:
        if len(row) > len(header):
            raise DamagedFile(
                f"{path}, line {number}: {len(row)} fields, expected at most {len(header)}"
            )
        name, *_ = row
        fields = [*row, *[""] * (len(header) - len(row))]
        picture = _inside(name, path, number)
        if picture in table.captions:
            raise DamagedFile(
                f"{path}, line {number}: {picture} comes a second time; keep one line a picture"
            )
        table.captions[picture] = "" if at is None else fields[at].strip()
        table.values[picture] = tuple(fields[i].strip() for i in others)
    return table


def _inside(name: str, path: Path, number: int) -> str:
    picture = PurePosixPath(name.strip())
    if picture.is_absolute() or ".." in picture.parts or not picture.name:
        raise DamagedFile(
            f"{path}, line {number}: {name!r} is no file of this folder; "
            "name pictures relative to it"
        )
    return picture.as_posix()


def _caption_column(header: list[str]) -> int | None:
    lowered = [name.lower() for name in header]
    found = next((lowered.index(name) for name in _CAPTION_NAMES if name in lowered[1:]), None)
    return found if found is not None else (1 if len(header) > 1 else None)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path} is no UTF-8 text: byte {error.start:,} is none") from error
