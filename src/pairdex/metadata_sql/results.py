"""Read the rows of a statement, all of them or only as many as needed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pairdex.arguments import StrPath
from pairdex.files import atomic
from pairdex.metadata_sql.output import FileFormat, write_rows
from pairdex.metadata_sql.session import DEFAULT_MEMORY, selecting
from pairdex.progress import Progress
from pairdex.search import HasFinder

__all__ = ["select_rows", "write_selected"]


def select_rows(
    collection: StrPath | HasFinder,
    sql: str,
    *,
    limit: int | None = None,
    memory: str = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> pa.Table:
    """Return the rows of a SELECT; with `limit`, compute and return only the first ones.

    Raises
    ------
    InvalidArgument
        The statement is not a single SELECT, or it fails.
    """
    batches, count = [], 0
    with selecting(collection, sql, memory=memory, progress=progress) as rows:
        for batch in rows:
            batches.append(batch)
            count += len(batch)
            if limit is not None and count >= limit:
                break
        return pa.Table.from_batches(batches, rows.schema).slice(0, limit)


def write_selected(
    collection: StrPath | HasFinder,
    sql: str,
    out: Path | BinaryIO,
    kind: FileFormat,
    *,
    memory: str = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> int:
    """Write the rows of a SELECT batch by batch and return the number of rows.

    Parameters
    ----------
    out
        A file, replaced after all rows are written; or an open binary file.

    Raises
    ------
    InvalidArgument, WriteFailed
        The statement is not a single SELECT, or it fails; the disk is full, or permission is
        denied.
    """
    with (
        ExitStack() as stack,
        selecting(collection, sql, memory=memory, progress=progress) as rows,
    ):
        file = stack.enter_context(atomic.replacing(out)) if isinstance(out, Path) else out
        return write_rows(rows, file, kind)
