"""Vectors in a column of a table: lists of floats beside url and caption, as in data sets of embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.parts.parquet import parquet_batches, parquet_schema

__all__ = ["ColumnVectors", "vector_columns"]

# Common lower-case names of vector columns; the first match is used.
_IMAGE = (
    "image_embedding",
    "image_embeddings",
    "img_emb",
    "image_emb",
    "img_embedding",
    "image_vector",
    "image_features",
    "embedding",
    "embeddings",
    "emb",
    "vector",
    "vectors",
    "clip_embedding",
    "features",
)
_TEXT = (
    "text_embedding",
    "text_embeddings",
    "text_emb",
    "txt_emb",
    "text_vector",
    "caption_embedding",
    "text_features",
)
_LEAST_DIM = 8  # shorter lists of floats are boxes or scores


@dataclass(frozen=True)
class ColumnVectors:
    """The rows of a column of lists of floats, read as a `VectorFile` is."""

    path: Path
    member: str
    rows: int
    dim: int
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """The table's name with the column's."""
        return f"{self.path.name}:{self.member}"

    def blocks(self, block_rows: int) -> Iterator[NDArray[Any]]:
        """Yield the rows in order as arrays (up to `block_rows`, dim); nulls become zeros.

        Raises
        ------
        DamagedFile
            The file is corrupt, or a list's length differs from the first.
        """
        waiting: list[NDArray[Any]] = []
        done = 0
        for _, batch in parquet_batches(self.path, [self.member], block_rows):
            waiting.append(self._array(batch.column(0), done))
            done += len(batch)
            while sum(map(len, waiting)) >= block_rows:
                joined = np.concatenate(waiting)
                yield joined[:block_rows]
                waiting = [joined[block_rows:]]
        rest = np.concatenate(waiting) if waiting else np.empty((0, self.dim), self.dtype)
        if len(rest):
            yield rest

    def _array(self, lists: pa.Array, first: int) -> NDArray[Any]:
        lists.validate(full=True)
        there = np.asarray(lists.is_valid(), np.bool_)
        lengths = np.where(there, np.asarray(pc.list_value_length(lists).fill_null(0)), self.dim)
        odd = np.flatnonzero(lengths != self.dim)
        if len(odd):
            raise DamagedFile(
                f"{self.path}: the list in {self.member} of row {first + int(odd[0]):,} has "
                f"{int(lengths[odd[0]]):,} numbers, expected {self.dim:,} as in the first row"
            )
        block = np.zeros((len(lists), self.dim), self.dtype)
        numbers = pc.list_flatten(lists)
        values = numbers.to_numpy(zero_copy_only=False).astype(self.dtype, copy=False)
        block[there] = values.reshape(-1, self.dim)
        return block


def vector_columns(path: Path) -> tuple[ColumnVectors, ColumnVectors | None, pa.Schema] | None:
    """Return a table's image vectors, text vectors, and other columns; None if it has no vectors.

    Raises
    ------
    DamagedFile
        The file is not Parquet.
    InvalidArgument
        Several columns hold vectors, but none has a known name.
    """
    rows, schema = parquet_schema(path)
    names = [field.name for field in schema if _is_vectors(field.type)]
    opened = {name: _opened(path, name, rows, schema.field(name).type) for name in names}
    found = {name: column for name, column in opened.items() if column is not None}
    if not found:
        return None
    text = _preferred(found, _TEXT)
    others = [name for name in found if name != text]
    image = _preferred(others, _IMAGE) or (others[0] if len(others) == 1 else None)
    if image is None:
        raise InvalidArgument(
            f"{path} has vectors in {', '.join(found)}: call those of the pictures image_embedding",
            field="source",
        )
    rest = pa.schema([field for field in schema if field.name not in (image, text)])
    return found[image], None if text is None else found[text], rest


def _opened(path: Path, name: str, rows: int, kind: pa.DataType) -> ColumnVectors | None:
    dtype = np.dtype(kind.value_type.to_pandas_dtype())
    is_fixed = pa.types.is_fixed_size_list(kind)
    dim = kind.list_size if is_fixed else next(_lengths(path, name), 0)
    return ColumnVectors(path, name, rows, dim, dtype) if dim >= _LEAST_DIM else None


def _lengths(path: Path, name: str) -> Iterator[int]:
    """Yield the lengths of the non-null lists, in order."""
    for _, batch in parquet_batches(path, [name], 1024):
        yield from (len(row) for row in batch.column(0) if row.is_valid)


def _is_vectors(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(
        (is_list or pa.types.is_fixed_size_list(kind)) and pa.types.is_floating(kind.value_type)
    )


def _preferred(names: Sequence[str] | dict[str, Any], known: Sequence[str]) -> str | None:
    by_lower = {name.lower(): name for name in names}
    return next((by_lower[name] for name in known if name in by_lower), None)
