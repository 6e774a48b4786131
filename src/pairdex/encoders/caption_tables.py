"""Read the tables in which a folder states the captions of its pictures.

`captions.tsv` is our own; `metadata.csv`, `.jsonl` and `.parquet` are of Hugging Face's imagefolder, in
any folder; `captions.txt`, `results.csv` and `*.token` are of the Flickr data sets, with several
captions a picture. An invalid line is skipped and reported.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.encoders.captions import (
    CAPTION_NAMES,
    CaptionTable,
    split_captions,
)
from pairdex.encoders.columns import nameless
from pairdex.encoders.encodings import decoded
from pairdex.files import foreign_json, json_values

__all__ = ["TABLE", "is_caption_table", "read_caption_tables"]

TABLE = "captions.tsv"

_FILE_NAMES = ("file", "filename", "file_name", "image", "image_path", "image_name", "path")
_MAX_FIELD_CHARS = 1 << 24  # the default of `csv` refuses long JSON in a field
_SHOWN = 100  # largest number of problems listed for one table

# Line number; its fields by column, or its error.
_Row = tuple[int, dict[str, object] | str]


def is_caption_table(name: str) -> bool:
    """Whether a file of this name, below the folder, is read for captions."""
    return _form(name) is not None


def read_caption_tables(root: Path, names: Iterable[str]) -> CaptionTable:
    """Read all tables of captions among the files `names` of a folder; an empty one if there is none.

    `captions.tsv` goes before the others.
    """
    found = CaptionTable()
    for name in sorted(names, key=lambda one: (one != TABLE, one.count("/"), one)):
        form = _form(name)
        if form is not None:
            found.join(_read(root, name, form))
    return found


_Form = Callable[[bytes], Iterator[_Row]]


def _form(name: str) -> _Form | None:
    folder, _, base = name.rpartition("/")
    if not folder and base in _IN_THE_FOLDER:
        return _IN_THE_FOLDER[base]
    if not folder and base.endswith((".token", ".token.txt")):
        return _token_rows
    return _ANYWHERE.get(base)


def _read(root: Path, name: str, form: _Form) -> CaptionTable:
    table, problems = CaptionTable(), list[tuple[str, str]]()
    folder = PurePosixPath(name).parent
    try:
        data = (root / name).read_bytes()
        if form not in (_parquet_rows,):
            text, encoding = decoded(data)
            data = text.encode()
            if encoding:
                problems.append((name, f"it is not UTF-8 and was read as {encoding}"))
        rows = list(form(data))
    except OSError as error:
        table.problems = [(name, f"it cannot be read: {error.strerror or error}")]
        return table
    except (pa.ArrowException, csv.Error, ValueError) as error:
        table.problems = [(name, f"it cannot be read: {str(error).splitlines()[0][:_SHOWN]}")]
        return table
    problems += [(name, f"line {number}: {row}") for number, row in rows if isinstance(row, str)]
    whole = [(number, row) for number, row in rows if isinstance(row, dict)]
    columns = list(dict.fromkeys(key for _, row in whole for key in row))
    at = _first(columns, _FILE_NAMES)
    if at is None:
        expected = f"expected {', '.join(_FILE_NAMES[:3])} or the like"
        problems += [(name, f"it has no column of pictures: {expected}")] if whole else []
    else:
        caption = _first(columns, CAPTION_NAMES)
        if caption is None and form in _IN_THE_FOLDER.values():
            caption = next((column for column in columns if column != at), None)
        outside = _take(table, whole, folder, (at, caption))
        problems += [(name, reason) for reason in outside]
    if form is _tsv_rows:
        texts = [key for key, kind in table.columns.kinds.items() if kind == "text"]
        table.blank = dict.fromkeys(texts, "")
    table.problems = problems[:_SHOWN]
    return table


def _take(
    table: CaptionTable,
    rows: Sequence[tuple[int, dict[str, object]]],
    folder: PurePosixPath,
    columns: tuple[str, str | None],
) -> list[str]:
    """Add the rows; return the problems of rows that do not name a picture of the folder."""
    at, caption = columns
    problems = []
    for number, row in rows:
        picture = _inside(row.get(at), folder)
        if picture is None:
            problems.append(f"line {number}: {row.get(at)!r:.60} is not a file of this folder")
            continue
        values = {key: value for key, value in row.items() if key not in columns}
        table.columns.see(values)
        table.add(picture, split_captions(row.get(caption)) if caption else [], values)
    return problems


def _inside(name: object, folder: PurePosixPath) -> str | None:
    """Return a picture's name relative to the root; None if it is invalid or outside the root."""
    if not isinstance(name, str):
        return None
    picture = PurePosixPath(name.strip().replace("\\", "/"))
    if picture.is_absolute() or ".." in picture.parts or not picture.name:
        return None
    return (folder / picture).as_posix()


def _first(columns: Sequence[str], known: Sequence[str]) -> str | None:
    lowered = {column.lower(): column for column in reversed(columns)}
    return next((lowered[name] for name in known if name in lowered), None)


def _tsv_rows(data: bytes) -> Iterator[_Row]:
    """Yield the lines of pairdex's own format: unquoted, with an optional header."""
    lines = data.decode().split("\n")
    rows = [(i, line.rstrip("\r").split("\t")) for i, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        return
    first = [name.strip() for name in rows[0][1]]
    width = max(len(row) for _, row in rows)
    if first[0].lower() in _FILE_NAMES[:5]:
        header, rows = first, rows[1:]
    else:
        header = ["file", "caption", *[""] * (width - 2)][:width]
    names = nameless(header)
    for number, row in rows:
        if len(row) > len(names):
            yield number, f"{len(row)} fields, expected at most {len(names)}"
            continue
        fields = [*row, *[""] * (len(names) - len(row))]
        yield number, {name: field.strip() for name, field in zip(names, fields, strict=True)}


def _csv_rows(data: bytes, delimiter: str = ",") -> Iterator[_Row]:
    csv.field_size_limit(_MAX_FIELD_CHARS)
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter)
    header = nameless([name.strip() for name in next(reader, [])])
    for row in reader:
        if row:
            fields = [field.strip() for field in row]
            yield reader.line_num, dict(zip(header, fields, strict=False))


def _pipe_rows(data: bytes) -> Iterator[_Row]:
    """Yield the lines of Flickr30k's `results.csv`: image_name| comment_number| comment."""
    delimiter = "|" if b"|" in data.partition(b"\n")[0] else ","
    for number, row in _csv_rows(data, delimiter):
        assert isinstance(row, dict), "a line of CSV has fields"
        yield (
            number,
            {
                ("caption" if key == "comment" else key): value
                for key, value in row.items()
                if key != "comment_number"
            },
        )


def _token_rows(data: bytes) -> Iterator[_Row]:
    """Yield the lines of Flickr8k's `Flickr8k.token.txt`: 12.jpg#0, a tab, a caption."""
    for number, line in enumerate(data.decode().split("\n"), 1):
        picture, tab, caption = line.partition("\t")
        if tab:
            yield number, {"file": picture.rpartition("#")[0] or picture, "caption": caption}


def _text_rows(data: bytes) -> Iterator[_Row]:
    """Yield the lines of a `captions.txt`; its first line determines the format."""
    first = data.partition(b"\n")[0]
    if b"\t" in first:
        return _token_rows(data) if b"#" in first.partition(b"\t")[0] else _tsv_rows(data)
    return _pipe_rows(data)


def _jsonl_rows(data: bytes) -> Iterator[_Row]:
    for number, line in enumerate(data.decode().split("\n"), 1):
        if line.strip():
            try:
                content = foreign_json.parse(line)
            except ValueError:
                content = None
            yield number, content if isinstance(content, dict) else "it is not a JSON object"


def _parquet_rows(data: bytes) -> Iterator[_Row]:
    table = pq.read_table(pa.BufferReader(data))
    yield from enumerate(json_values.rows(table), 1)


_IN_THE_FOLDER: dict[str, _Form] = {
    TABLE: _tsv_rows,
    "captions.csv": _csv_rows,
    "captions.txt": _text_rows,
    "results.csv": _pipe_rows,
}
_ANYWHERE: dict[str, _Form] = {
    "metadata.csv": _csv_rows,
    "metadata.jsonl": _jsonl_rows,
    "metadata.parquet": _parquet_rows,
}
