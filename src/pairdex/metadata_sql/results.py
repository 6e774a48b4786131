"""The rows of a statement, read to their end or no further than needed."""

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
    """Return the rows of a SELECT; with `limit` only the first ones, and the rest is not computed.

    Raises
    ------
    InvalidArgument
        Not one SELECT, or it fails.
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
    """Write the rows of a SELECT, a batch at a time, and return their number.

    Parameters
    ----------
    out
        A file to replace when all rows are written, or an open binary file.

    Raises
    ------
    InvalidArgument, WriteFailed
        Not one SELECT, or it fails; no room, or no permission.
    """
    with (
        ExitStack() as stack,
        selecting(collection, sql, memory=memory, progress=progress) as rows,
    ):
        file = stack.enter_context(atomic.replacing(out)) if isinstance(out, Path) else out
        return write_rows(rows, file, kind)
