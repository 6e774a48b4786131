"""Read a part's metadata from any file format, as tables of a fixed size with each row's origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairdex.errors import Mismatch
from pairdex.parts.bundle import BundleVectors
from pairdex.parts.columns import ORIGIN, Column, conformed, read_tables
from pairdex.parts.part import Part
from pairdex.parts.tsv import read_tsv
from pairdex.wording import counted

__all__ = ["part_tables"]


def part_tables(
    part: Part,
    columns: Sequence[Column],
    table_rows: int,
    invalid: Counter[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield a part's metadata in order, `table_rows` rows a table (the last may be shorter).

    The last columns hold each row's origin: the part number, and the row in the part. `invalid`
    counts, by column, the values that could not be converted and are null.

    Raises
    ------
    DamagedFile, Mismatch
        The file is corrupt, or its row count differs from that of the vectors.
    """
    if part.metadata is None:
        for first in range(0, part.rows, table_rows):
            yield pa.table(_origin(part, first, min(table_rows, part.rows - first)))
        return
    first = 0
    for table in _read(part, part.metadata, columns, table_rows, invalid):
        released = dict(zip(table.column_names, table.columns, strict=True))
        yield pa.table(released | _origin(part, first, len(table)))
        first += len(table)


def _read(
    part: Part,
    path: Path,
    columns: Sequence[Column],
    table_rows: int,
    invalid: Counter[str] | None,
) -> Iterator[pa.Table]:
    if not isinstance(part.image, BundleVectors):
        return read_tables(path, columns, table_rows, invalid)
    texts = (conformed(table, columns, path, invalid) for table in read_tsv(path))
    return _regrouped(_counted(texts, part), table_rows)


def _origin(part: Part, first: int, count: int) -> dict[str, pa.Array]:
    values = (np.full(count, part.number), np.arange(first, first + count))
    return {
        name: pa.array(column, kind) for (name, kind), column in zip(ORIGIN, values, strict=True)
    }


def _counted(tables: Iterable[pa.Table], part: Part) -> Iterator[pa.Table]:
    """Yield the tables; raise if their row count differs from the expected one."""
    assert part.metadata is not None, "there are no tables without it"
    rows = 0
    last = None
    for table in tables:
        rows += len(table)
        if rows < part.rows:
            yield table
        elif last is None:
            last = table
    if rows != part.rows:
        raise Mismatch(
            f"{part.image.path} has {counted(part.rows, 'row')}, {part.metadata} has {rows:,}: "
            "the files do not belong together; fetch the one that is wrong again"
        )
    if last is not None:
        yield last


def _regrouped(tables: Iterable[pa.Table], table_rows: int) -> Iterator[pa.Table]:
    """Regroup tables into tables of `table_rows` rows; the last may be shorter."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) < table_rows:
            continue
        joined = pa.concat_tables(waiting)
        whole = len(joined) // table_rows * table_rows
        yield from (joined.slice(at, table_rows) for at in range(0, whole, table_rows))
        waiting = [joined.slice(whole)]
    rest = pa.concat_tables(waiting) if waiting else None
    if rest is not None and len(rest):
        yield rest
