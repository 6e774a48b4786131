"""Map metadata columns from the names and types of a release to those of a collection.

Known columns get one name and one type, whatever the release calls them; unknown ones are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pairdex.errors import DamagedFile, Mismatch
from pairdex.parts.parquet import parquet_batches
from pairdex.parts.part import Part
from pairdex.parts.types import stored_type, unified_type
from pairdex.parts.values import converted, first_of_lists

__all__ = [
    "ORIGIN",
    "Column",
    "ColumnPlan",
    "collection_names",
    "column_notes",
    "conformed",
    "plan_columns",
    "plan_parts",
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
# Columns that searches and the build add.
_RESERVED = frozenset({"id", "distance", "pair_similarity", *(name for name, _ in ORIGIN)})


@dataclass(frozen=True)
class Column:
    """A column of the collection: its name, its type, and what the release calls it.

    Attributes
    ----------
    via
        Intermediate types of the conversion to `type`: those of the collection's column after each
        part. Adding parts one by one therefore gives the same values as building from all at once.
    is_first
        Whether the source holds lists; the column takes each list's first value.
    aliases
        What other parts call it; filters may use these names too.
    """

    name: str
    type: pa.DataType
    source: str
    via: tuple[pa.DataType, ...] = ()
    is_first: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnPlan:
    """The columns of a collection: of each new part, and how the earlier parts' values change.

    `of_parts` has the collection's columns as each part has them, `of_earlier` as the collection has
    them already (empty for a new one).
    """

    of_parts: list[list[Column]]
    of_earlier: list[Column]


def plan_columns(parts: Sequence[Part]) -> list[Column]:
    """Decide the columns of a collection from the schemas of all its parts.

    Raises
    ------
    Mismatch
        A part has a missing, extra, duplicate, or incompatible column.
    """
    return [replace(column, via=()) for column in plan_parts(parts).of_parts[0]]


def plan_parts(parts: Sequence[Part], earlier: pa.Schema | None = None) -> ColumnPlan:
    """Decide the columns of a collection when adding parts; `earlier` are its existing columns.

    Known names are mapped and case is ignored before columns are compared.

    Raises
    ------
    Mismatch
        A part has a missing, extra, duplicate, or incompatible column.
    """
    own = [_own_columns(part) for part in parts]
    names = list(own[0]) if earlier is None else earlier.names
    matched = [_matched(names, columns) for columns in own]
    _check_same(names, parts, own, matched, None if earlier is None else "the collection")
    steps: list[dict[str, pa.DataType]] = []
    if earlier is not None:
        steps.append({field.name: stored_type(field.type) for field in earlier})
    for part, columns in zip(parts, matched, strict=True):
        steps.append({n: _widened(n, steps, columns[n].type, part) for n in names})
    aliases = {n: tuple(dict.fromkeys(columns[n].source for columns in matched)) for n in names}
    first = 0 if earlier is None else 1
    return ColumnPlan(
        [
            [
                replace(
                    columns[n],
                    name=n,
                    type=steps[-1][n],
                    via=_distinct(step[n] for step in steps[first + i : -1]),
                    aliases=aliases[n],
                )
                for n in names
            ]
            for i, columns in enumerate(matched)
        ],
        []
        if earlier is None
        else [
            Column(n, steps[-1][n], n, via=_distinct(step[n] for step in steps[:-1])) for n in names
        ],
    )


def column_notes(parts: Sequence[Part]) -> list[str]:
    """Return notes on known columns whose source type differs from their own."""
    notes = []
    for part in parts:
        columns = _own_columns(part).values()
        firsts = [column.source for column in columns if column.is_first]
        notes += [
            f"{part.table_name} has several values a row in {source}: the first is taken, all are kept "
            f"as {next(c.name for c in columns if c.source == source and not c.is_first)}"
            for source in firsts
        ]
        notes += [
            f"{part.table_name} has {part.schema.field(column.source).type} in {column.source}: it is kept "
            f"as {column.name}"
            for column in columns
            if column.source not in firsts and _is_misfit(column, part.schema)
        ]
    return list(dict.fromkeys(notes))


def read_tables(
    path: Path,
    columns: Sequence[Column],
    table_rows: int,
    invalid: Counter[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield a part's metadata in order, `table_rows` rows a table (the last may be shorter).

    Values that do not fit the collection's column become null; `invalid` counts them by column.

    Raises
    ------
    DamagedFile
        The Parquet file is corrupt, or a column's type cannot be converted to the collection's.
    """
    waiting: list[pa.Table] = []
    names = list(dict.fromkeys(column.source for column in columns))
    for file, batch in parquet_batches(path, names, table_rows):
        waiting.append(conformed(pa.Table.from_batches([batch]), columns, file, invalid))
        while sum(map(len, waiting)) >= table_rows:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, table_rows)
            waiting = [joined.slice(table_rows)]
    rest = pa.concat_tables(waiting) if waiting else None
    if rest is not None and len(rest):
        yield rest


def with_source_names(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Add the release's own names of renamed columns, for filters that use them."""
    for column in columns:
        for source in () if column.is_first else dict.fromkeys((column.source, *column.aliases)):
            if source.lower() not in {name.lower() for name in table.column_names}:
                table = table.append_column(source, table[column.name])
    return table


def collection_names(table: pa.Table) -> pa.Table:
    """Return a release's table with the known columns under the collection's names."""
    known = _known(table.column_names)
    names = [known[name].name if name in known else name for name in table.column_names]
    return table.rename_columns(names)


def _own_columns(part: Part) -> dict[str, Column]:
    """Return the columns that a part would give by itself, by name."""
    twice = [name for name, count in Counter(part.schema.names).items() if count > 1]
    if twice:
        raise Mismatch(f"{part.metadata} has the column {twice[0]} twice; rename one of them")
    return {column.name: column for column in _named(part.schema)}


def _matched(names: Sequence[str], columns: dict[str, Column]) -> dict[str, Column]:
    """Find a part's columns by the collection's names; match case only to tell columns apart."""
    by_lower = {name.lower(): column for name, column in columns.items()}
    found = {name: columns.get(name) or by_lower.get(name.lower()) for name in names}
    return {name: column for name, column in found.items() if column is not None}


def _check_same(
    names: Sequence[str],
    parts: Sequence[Part],
    own: Sequence[dict[str, Column]],
    matched: Sequence[dict[str, Column]],
    earlier: str | None,
) -> None:
    """Raise Mismatch unless all parts, and the collection, have the same columns."""
    whole = earlier or parts[0].table_name
    for part, columns, found in zip(parts, own, matched, strict=True):
        lacking = [name for name in names if name not in found]
        sources = {column.name for column in found.values()}
        more = [column.source for name, column in columns.items() if name not in sources]
        if lacking or more:
            name = own[0][lacking[0]].source if lacking and earlier is None else (lacking + more)[0]
            lacks, has = (part.table_name, whole) if lacking else (whole, part.table_name)
            raise Mismatch(
                f"{lacks} lacks the column {name} that {has} has: "
                "parts of one collection have the same columns"
            )


def _widened(
    name: str, steps: Sequence[dict[str, pa.DataType]], added: pa.DataType, part: Part
) -> pa.DataType:
    if not steps:
        return added
    try:
        return unified_type(steps[-1][name], added)
    except TypeError as error:
        raise Mismatch(
            f"the parts' columns do not agree in type: {name} of {part.table_name} is {added}, "
            f"of the parts before it {steps[-1][name]}"
        ) from error


def _distinct(types: Iterable[pa.DataType]) -> tuple[pa.DataType, ...]:
    """Return types without consecutive duplicates."""
    path: list[pa.DataType] = []
    for kind in types:
        if not path or not path[-1].equals(kind):
            path.append(kind)
    return tuple(path)


def _known(names: Sequence[str]) -> dict[str, Column]:
    """Find the known columns among a release's names."""
    by_lower = {name.lower(): name for name in reversed(names)}
    known = {}
    for name, kind, aliases in _KNOWN_COLUMNS:
        source = next((by_lower[alias] for alias in aliases if alias in by_lower), None)
        if source is not None:
            known[source] = Column(name, kind, source)
    return known


def _named(schema: pa.Schema) -> list[Column]:
    known = _known(schema.names)
    columns: list[Column] = []
    taken = {column.name for column in known.values()} | _RESERVED
    for field in schema:
        kind = stored_type(field.type)
        column = known.get(field.name)
        if column is not None and _fits(kind, column.type):
            columns.append(column)
            continue
        if column is not None and _holds_several(kind, column.type):
            columns.append(replace(column, is_first=True))
        name = _free_name(field.name if column is None else column.name, taken)
        taken.add(name.lower())
        columns.append(Column(name, kind, field.name))
    return columns


def _fits(kind: pa.DataType, known: pa.DataType) -> bool:
    """Whether a stored type can be converted to a known column's type."""
    if pa.types.is_string(known):
        return not pa.types.is_nested(kind)
    return not pa.types.is_nested(kind) and not pa.types.is_temporal(kind)


def _holds_several(kind: pa.DataType, known: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and _fits(kind.value_type, known))


def _is_misfit(column: Column, schema: pa.Schema) -> bool:
    """Whether a known column keeps another name because its type is incompatible."""
    known = _known(schema.names).get(column.source)
    return known is not None and known.name != column.name


def _free_name(name: str, taken: set[str]) -> str:
    candidates = [name, f"source_{name}", *(f"source_{name}_{i}" for i in range(2, len(taken) + 3))]
    return next(candidate for candidate in candidates if candidate.lower() not in taken)


def conformed(
    table: pa.Table, columns: Sequence[Column], path: Path, invalid: Counter[str] | None = None
) -> pa.Table:
    """Return a release's table under the names and types of the collection.

    Values that do not fit become null; `invalid` counts them by column.

    Raises
    ------
    DamagedFile
        A column is damaged, or its type cannot be converted to the collection's.
    """
    arrays = []
    for column in columns:
        try:
            values = table[column.source]
            if column.is_first:
                values = first_of_lists(values)
            for kind in (*column.via, column.type):
                values, bad = converted(values, kind)
                if invalid is not None and bad:
                    invalid[column.name] += bad
        except pa.ArrowException as error:
            reason = str(error).splitlines()[0]
            raise DamagedFile(
                f"{path}: the column {column.source} does not fit {column.type}: {reason}"
            ) from error
        arrays.append(values)
    return pa.table(arrays, schema=pa.schema([(column.name, column.type) for column in columns]))
