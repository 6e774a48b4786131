"""Parquet tables: one file, or a folder of files as Spark writes it, as one table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.errors import DamagedFile, PairdexError
from pairdex.files.boundary import FOREIGN_ERRORS, reason_of
from pairdex.files.foreign import foreign
from pairdex.wording import counted

__all__ = ["opened", "parquet_batches", "parquet_files", "parquet_schema"]


def parquet_files(table: Path) -> list[Path]:
    """Return the files that a table consists of, in order: itself, or those in its folder.

    Names that begin with `_` or `.` are skipped: `_SUCCESS`, `._part-0`.
    """
    if not table.is_dir():
        return [table]
    return sorted(path for path in table.glob("*.parquet") if path.name[0] not in "._")


def parquet_schema(table: Path) -> tuple[int, pa.Schema]:
    """Return the number of rows and the columns from the footers of a table.

    Raises
    ------
    DamagedFile
        A file is not Parquet, the folder is empty, or the files' columns differ.
    """
    rows, schema = 0, None
    for path in parquet_files(table):
        with opened(path) as file:
            rows += file.metadata.num_rows
            schema = _joined(path, schema, file.schema_arrow)
    if schema is None:
        raise DamagedFile(f"{table} is a folder without Parquet files; fetch it again")
    return rows, schema


def parquet_batches(
    table: Path, columns: Sequence[str], batch_rows: int
) -> Iterator[tuple[Path, pa.RecordBatch]]:
    """Yield batches of some columns in row order, each with its file.

    Raises
    ------
    DamagedFile
        A file is corrupt, or its row count differs from its footer.
    """
    for path in parquet_files(table):
        rows = 0
        with opened(path, check_pages=True) as file:
            expected = file.metadata.num_rows
            for batch in file.iter_batches(batch_rows, columns=list(columns)):
                rows += len(batch)
                if rows <= expected:
                    yield path, batch
        if rows != expected:
            raise DamagedFile(
                f"{path} has {counted(rows, 'row')}, its footer says {expected:,}: it is damaged; fetch it again"
            )


@contextmanager
def opened(path: Path, *, check_pages: bool = False) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file.

    Raises
    ------
    DamagedFile
        It is not Parquet, or the data read inside the block is corrupt.
    """
    is_open = False
    try:
        with (
            pa.OSFile(os.fsencode(path)) as raw,
            pq.ParquetFile(raw, page_checksum_verification=check_pages) as file,
        ):
            is_open = True
            yield file
    except PairdexError:
        raise
    except FOREIGN_ERRORS as error:
        reason = reason_of(error)
        what = "cannot be read" if is_open and check_pages else "is not a readable Parquet file"
        raise DamagedFile(
            f"{path} {foreign(path) or f'{what}: {reason}; fetch it again'}"
        ) from error


def _joined(path: Path, schema: pa.Schema | None, more: pa.Schema) -> pa.Schema:
    if schema is None:
        return more.remove_metadata()
    try:
        return pa.unify_schemas([schema, more], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise DamagedFile(
            f"{path} has other columns than the files before it: {str(error).splitlines()[0]}"
        ) from error
