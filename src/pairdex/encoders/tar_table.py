"""img2dataset's output: a tar of pictures and, of the same name, a Parquet table with a row for each.

Rows that could not be fetched say so in `status` and have no member in the tar. Members are named by
the row's `key`; where the table has none (before 2021-09-17) by the row's number in the shard, or by
that number behind the shard's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pairdex.encoders.captions import split_captions
from pairdex.encoders.sources import Sample
from pairdex.encoders.tar_members import TarSample
from pairdex.errors import Mismatch
from pairdex.parts.shards import RowNumbers

__all__ = [
    "common_schema",
    "has_captions",
    "kept_fields",
    "paired",
    "table_beside",
]

_CAPTIONS = ("caption", "text")  # what the column of captions is called, in this order

_SUCCESS = "success"
_MEASURED = ("width", "height")  # of the stored picture: measured when it is decoded


def table_beside(tar: Path) -> Path | None:
    """Return the table of a shard, if it exists."""
    path = tar.with_suffix(".parquet")
    return path if path.is_file() else None


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return the columns that the tables of all shards make together.

    Raises
    ------
    Mismatch
        A column has incompatible types.
    """
    plain = [pa.schema([(field.name, _plain(field.type)) for field in one]) for one in schemas]
    try:
        found = pa.unify_schemas(plain, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise Mismatch(f"the shards' tables do not agree: {error}") from error
    return pa.schema(
        [(one.name, pa.string() if one.type == pa.null() else one.type) for one in found]
    )


def has_captions(schema: pa.Schema) -> bool:
    """Whether the tables have a column of captions."""
    return _caption_column(schema.names) is not None


def kept_fields(schema: pa.Schema) -> list[pa.Field]:
    """Return the columns to keep: all but the captions and the stored pictures' size."""
    caption = _caption_column(schema.names)
    left_out = set(_MEASURED)
    if caption is not None and not pa.types.is_nested(schema.field(caption).type):
        left_out.add(caption)  # the first of a list is the caption; the list is kept
    return [field for field in schema if field.name not in left_out]


def paired(
    tar: Path, table: pa.Table, members: Sequence[TarSample], keys: Sequence[str]
) -> list[Sample]:
    """Return a sample for each row of the table, in its order, then one for each other problem.

    Parameters
    ----------
    keys
        The columns to keep; one that the table lacks has no values.
    """
    found = _by_row(tar, table, members)
    caption = _caption_column(table.column_names)
    none: list[object] = [None] * len(table)
    captions = table[caption].to_pylist() if caption else none
    kept = [table[key].to_pylist() if key in table.column_names else none for key in keys]
    samples = [
        _sample(
            tar,
            table,
            row,
            found.get(row),
            _Said(next(iter(split_captions(text)), ""), tuple(values)),
        )
        for row, (text, *values) in enumerate(zip(captions, *kept, strict=True))
    ]
    used = {id(member) for member in found.values()}
    strangers = [one for one in members if id(one) not in used]
    return samples + [_stranger(tar, one, len(keys)) for one in strangers]


def _caption_column(names: Sequence[str]) -> str | None:
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[name] for name in _CAPTIONS if name in lowered), None)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _by_row(tar: Path, table: pa.Table, members: Sequence[TarSample]) -> dict[int, TarSample]:
    """Return the member of each row that has one."""
    keys = table["key"] if "key" in table.column_names else None
    row_of = RowNumbers(tar.stem, len(table), keys)
    rows = [(row_of(one.key.rpartition("/")[2]), one) for one in members if one.key]
    return {row: one for row, one in rows if row is not None}


class _Said(NamedTuple):
    """What a row of the table says of its picture."""

    caption: str
    values: tuple[object, ...]


def _sample(tar: Path, table: pa.Table, row: int, member: TarSample | None, said: _Said) -> Sample:
    caption = " ".join(said.caption.split())
    if member is not None:
        name = f"{tar.name}/{member.picture or member.key}"
        place = None if member.problem else member.place
        return Sample(name, caption, said.values, place, member.problem, member.note)
    return Sample(f"{tar.name}/{row}", caption, said.values, None, _why(table, row))


def _why(table: pa.Table, row: int) -> str:
    status = table["status"][row].as_py() if "status" in table.column_names else None
    if status is None or status == _SUCCESS:
        return "the table has this row, the tar has no picture for it"
    said = table["error_message"][row].as_py() if "error_message" in table.column_names else None
    return f"{status}: {said}" if said else str(status)


def _stranger(tar: Path, member: TarSample, width: int) -> Sample:
    name = f"{tar.name}/{member.picture or member.key}" if member.key else tar.name
    reason = member.problem or "the tar has this picture, the table has no row for it"
    return Sample(name, "", (None,) * width, None, reason)
