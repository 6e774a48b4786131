"""Read the metadata of a bundle: tab-separated lines with a header, as Julia's CSV.write makes.

Fields with a tab, quote or newline are quoted, quotes in them doubled; an empty field is a missing
value, `""` an empty text. Only a newline ends a line; a carriage return is an ordinary character.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from pairdex.errors import DamagedFile, UnsupportedFormat

__all__ = ["EXPECTED", "read_tsv", "tsv_schema"]

EXPECTED = ("caption", "NSFW", "LICENSE", "url")

_HEADER_LIMIT_BYTES = 1 << 16
_BLOCK_BYTES = 2 << 20  # bytes per read; the longest line
_CR, _STAND_IN = b"\r", b"\xff"  # the placeholder byte does not occur in UTF-8
_CRLF = b"\r\n"


def tsv_schema(path: Path) -> pa.Schema:
    """Return the columns of the header, all of type text.

    Raises
    ------
    UnsupportedFormat
        The first line is not a valid header.
    """
    with path.open("rb") as file:
        names, _ = _header(file, path)
    return pa.schema([(name, pa.string()) for name in names])


def read_tsv(path: Path) -> Iterator[pa.Table]:
    """Yield the rows in order as tables of text columns, some megabytes each.

    Raises
    ------
    DamagedFile
        A line's field count differs from the header's, a quote is never closed, or bytes are not
        UTF-8.
    """
    rows = 0
    try:
        with path.open("rb") as file:
            names, ends_crlf = _header(file, path)
            if not file.peek(1):
                return
            lines = _Lines(file, keep_returns=not ends_crlf)
            for batch in _parsed(lines, names):
                table = pa.Table.from_batches([batch])
                yield _as_text(table, lines.has_returns)
                rows += len(table)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        if "straddl" in reason:
            reason = f"a line is longer than {_BLOCK_BYTES:,} bytes, as when a quote is not closed"
        raise DamagedFile(
            f"{path} cannot be read after row {rows:,}: {reason}; fetch it again"
        ) from error


class _Lines(io.RawIOBase):
    """Replaces carriage returns by a placeholder, since Arrow would end a line at each."""

    def __init__(self, file: BinaryIO, *, keep_returns: bool) -> None:
        self._file = file
        self._keep_returns = keep_returns
        self.has_returns = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if _STAND_IN in data:
            raise OSError("the byte 0xFF is in no UTF-8 text")
        if self._keep_returns and _CR in data:
            self.has_returns = True
            data = data.replace(_CR, _STAND_IN)
        return data


def _header(file: BinaryIO, path: Path) -> tuple[list[str], bool]:
    """Read the first line: the columns' names, and whether lines end with a carriage return too."""
    line = file.readline(_HEADER_LIMIT_BYTES)
    text = line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    names = [name[1:-1] if name[:1] == name[-1:] == '"' else name for name in text.split("\t")]
    if not {name.lower() for name in names} & {name.lower() for name in EXPECTED}:
        raise UnsupportedFormat(
            f"{path} begins with {text[:60]!r}, expected a header like {' '.join(EXPECTED)} "
            "with tabs between"
        )
    return names, line.endswith(_CRLF)


def _parsed(lines: _Lines, names: list[str]) -> Iterator[pa.RecordBatch]:
    reader = pv.open_csv(
        lines,
        read_options=pv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        parse_options=pv.ParseOptions(
            delimiter="\t", newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    with reader:
        yield from reader


def _as_text(table: pa.Table, has_returns: bool) -> pa.Table:
    columns = table.columns
    if has_returns:
        columns = [pc.replace_substring(column, _STAND_IN, _CR) for column in columns]
    return pa.table([column.cast(pa.string()) for column in columns], names=table.column_names)
