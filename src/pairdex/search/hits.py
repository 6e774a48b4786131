"""The rows that a search found, as a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.store.store import Store

__all__ = ["describe", "with_folded"]


def describe(
    store: Store,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    similarity: NDArray[np.float64] | None = None,
) -> pa.Table:
    """Return the found rows as a table: id, distance, similarity, then the metadata columns.

    `similarity` is the cosine to the query, 1 - distance unless it is given; the similarity of image
    and caption that a release may store appears as `pair_similarity`. Rows that were removed since the search began are
    left out.
    """
    live = store.allowed()
    found = (ids >= 0) & (True if live is None else live[ids])
    cosines = (1.0 - distances if similarity is None else similarity)[found]
    ids, distances = ids[found], distances[found]
    metadata = store.read(ids)
    renamed = [
        "pair_similarity" if name == "similarity" else name for name in metadata.column_names
    ]
    table = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "distance": pa.array(distances, pa.float64()),
            "similarity": pa.array(cosines, pa.float64()),
        }
    )
    for name, column in zip(renamed, metadata.columns, strict=True):
        table = table.append_column(name, column)
    return table


def with_folded(table: pa.Table, folded: dict[int, list[int]]) -> pa.Table:
    """Add the ids that were folded into each row, as the column `folded`."""
    inside = pa.array([folded[row_id] for row_id in table["id"].to_pylist()], pa.list_(pa.int64()))
    kept = [name for name in table.column_names if name != "folded"]
    return table.select(kept).append_column("folded", inside)
