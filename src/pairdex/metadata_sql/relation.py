"""A collection's metadata as a relation that DuckDB can scan repeatedly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pairdex.errors import PairdexError
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = [
    "Pairs",
]


class Pairs:
    """The rows that were not removed: `id`, then the metadata columns, read batch by batch.

    `error` keeps the exception raised while DuckDB was reading, because DuckDB passes on only its
    message.
    """

    def __init__(self, store: Store, *, progress: StepProgress | None = None) -> None:
        self.error: PairdexError | None = None
        self.schema = pa.schema([pa.field("id", pa.int64()), *store.schema])
        self._store, self._progress = store, progress
        self._removed = store.removed

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for first, table in self._store.tables():
                ids = np.arange(first, first + len(table), dtype=np.int64)
                rows = table.add_column(0, self.schema.field(0), pa.array(ids))
                if self._removed is not None:
                    rows = rows.filter(pa.array(~self._removed[ids]))
                yield from rows.to_batches()
                if self._progress:
                    self._progress(first + len(table), self._store.rows)
        except PairdexError as error:
            self.error = error
            raise
