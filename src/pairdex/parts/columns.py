"""Metadata columns: from the names and types of a release to those of a collection.

Known columns get one name and one type, whatever the release calls them; unknown ones are kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairdex.errors import DamagedFile, Mismatch
from pairdex.parts.layout import Part

__all__ = [
    "ORIGIN",
    "Column",
    "collection_names",
    "conformed",
    "plan_columns",
    "read_tables",
    "with_source_names",
]

ORIGIN = (("part", pa.int32()), ("row", pa.int64()))  # where a row came from; written by the build

# name, type, what releases call it (compared without case), the preferred one first
_KNOWN_COLUMNS: tuple[tuple[str, pa.DataType, tuple[str, ...]], ...] = (
    ("url", pa.string(), ("url",)),
    ("caption", pa.string(), ("caption", "text")),
    ("nsfw", pa.string(), ("nsfw",)),
    ("similarity", pa.float64(), ("similarity",)),
    ("license", pa.string(), ("license",)),
    ("width", pa.int32(), ("width", "original_width")),
    ("height", pa.int32(), ("height", "original_height")),
    ("image_path", pa.string(), ("image_path",)),
)
# What a search adds to the columns, and the build.
_RESERVED = frozenset({"id", "distance", "pair_similarity", *(name for name, _ in ORIGIN)})


@dataclass(frozen=True)
class Column:
    """A column of the collection: its name, its type, and what the release calls it."""

    name: str
    type: pa.DataType
    source: str


def plan_columns(parts: Sequence[Part]) -> list[Column]:
    """Decide the columns of a collection from the schemas of all its parts.

    Raises
    ------
    Mismatch
        A part lacks a column, or has one more, one twice, or one of an incompatible type.
    """
    first = parts[0]
    _check_once(first)
    for part in parts[1:]:
        _check_once(part)
        for one, other in ((first, part), (part, first)):
            lacking = [name for name in one.schema.names if name not in other.schema.names]
            if lacking:
                raise Mismatch(
                    f"{other.table_name} lacks the column {lacking[0]} that {one.table_name} has: "
                    "parts of one collection have the same columns"
                )
    try:
        schema = pa.unify_schemas(
            [_stored_schema(part.schema) for part in parts], promote_options="permissive"
        )
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise Mismatch(f"the parts' columns do not agree in type: {error}") from error
    return _named(schema)


def read_tables(path: Path, columns: Sequence[Column], table_rows: int) -> Iterator[pa.Table]:
    """Yield a part's metadata in order, `table_rows` rows a table (the last may be shorter).

    Raises
    ------
    DamagedFile
        The Parquet file is corrupt, or a value does not fit the collection's column.
    """
    waiting: list[pa.Table] = []
    rows = 0
    try:
        with (
            pa.OSFile(os.fsencode(path)) as raw,
            pq.ParquetFile(raw, page_checksum_verification=True) as file,
        ):
            expected = file.metadata.num_rows
            names = [column.source for column in columns]
            for batch in file.iter_batches(table_rows, columns=names):
                waiting.append(conformed(pa.Table.from_batches([batch]), columns, path))
                rows += len(batch)
                while rows <= expected and sum(map(len, waiting)) >= table_rows:
                    joined = pa.concat_tables(waiting)
                    yield joined.slice(0, table_rows)
                    waiting = [joined.slice(table_rows)]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} cannot be read: {reason}; fetch it again") from error
    if rows != expected:
        raise DamagedFile(
            f"{path} has {rows:,} rows, its footer says {expected:,}: it is damaged; fetch it again"
        )
    rest = pa.concat_tables(waiting) if waiting else None
    if rest is not None and len(rest):
        yield rest


def with_source_names(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Add the release's own names of renamed columns, for filters that use them."""
    for column in columns:
        taken = {name.lower() for name in table.column_names}
        if column.source.lower() not in taken:
            table = table.append_column(column.source, table[column.name])
    return table


def collection_names(table: pa.Table) -> pa.Table:
    """Return a release's table with the known columns under the collection's names."""
    known = _known(table.column_names)
    names = [known[name].name if name in known else name for name in table.column_names]
    return table.rename_columns(names)


def _check_once(part: Part) -> None:
    twice = [name for name, count in Counter(part.schema.names).items() if count > 1]
    if twice:
        raise Mismatch(f"{part.metadata} has the column {twice[0]} twice; rename one of them")


def _known(names: Sequence[str]) -> dict[str, Column]:
    """Find the known columns among a release's names."""
    by_lower = {name.lower(): name for name in reversed(names)}
    known = {}
    for name, kind, aliases in _KNOWN_COLUMNS:
        source = next((by_lower[alias] for alias in aliases if alias in by_lower), None)
        if source is not None:
            known[source] = Column(name, kind, source)
    return known


def _stored_schema(schema: pa.Schema) -> pa.Schema:
    known = _known(schema.names)
    kinds = [
        known[field.name].type if field.name in known else _stored_type(field.type)
        for field in schema
    ]
    return pa.schema(list(zip(schema.names, kinds, strict=True)))


def _named(schema: pa.Schema) -> list[Column]:
    known = _known(schema.names)
    columns, taken = [], {column.name for column in known.values()} | _RESERVED
    for field in schema:
        column = known.get(field.name) or Column(
            _free_name(field.name, taken), field.type, field.name
        )
        taken.add(column.name.lower())
        columns.append(column)
    return columns


def _free_name(name: str, taken: set[str]) -> str:
    candidates = [name, f"source_{name}", *(f"source_{name}_{i}" for i in range(2, len(taken) + 3))]
    return next(candidate for candidate in candidates if candidate.lower() not in taken)


def _stored_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _stored_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def conformed(table: pa.Table, columns: Sequence[Column], path: Path) -> pa.Table:
    """Return a release's table under the names and types of the collection.

    Raises
    ------
    DamagedFile
        A value does not fit the collection's column.
    """
    arrays = []
    for column in columns:
        values = table[column.source]
        if pa.types.is_floating(values.type) and pa.types.is_integer(column.type):
            values = pc.if_else(pc.is_nan(values), None, values)  # pandas writes missing numbers so
        try:
            values = values.cast(column.type)
            values.validate(full=True)
        except pa.ArrowException as error:
            reason = str(error).splitlines()[0]
            raise DamagedFile(
                f"{path}: the column {column.source} does not fit {column.type}: {reason}"
            ) from error
        arrays.append(values)
    return pa.table(arrays, schema=pa.schema([(column.name, column.type) for column in columns]))
