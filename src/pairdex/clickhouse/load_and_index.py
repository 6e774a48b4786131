"""Load a collection into ClickHouse and index its vectors, in one call."""

from __future__ import annotations

from pathlib import Path

from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.index import IndexReport, IndexSpec, build_indexes
from pairdex.clickhouse.load import LoadReport, load_collection
from pairdex.clickhouse.schema import DEFAULT_DTYPE, DEFAULT_TABLE, Dtype
from pairdex.progress import Progress

__all__ = ["load_and_index"]


def load_and_index(
    collection: str | Path,
    place: Place,
    spec: IndexSpec | None,
    *,
    table: str = DEFAULT_TABLE,
    dtype: Dtype = DEFAULT_DTYPE,
    columns: tuple[str, ...] = (),
    cluster: str | None = None,
    progress: Progress | None = None,
) -> tuple[LoadReport, list[IndexReport]]:
    """Load a collection as `load_collection` does; then build the index `spec`, if given.

    Raises
    ------
    PairdexError
        As `load_collection` and `build_indexes`.
    """
    report = load_collection(
        collection,
        place,
        table=table,
        dtype=dtype,
        columns=columns,
        cluster=cluster,
        progress=progress,
    )
    if spec is None:
        return report, []
    indexes = build_indexes(
        collection, place, spec, table=table, cluster=cluster, progress=progress
    )
    return report, indexes
