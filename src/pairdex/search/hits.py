"""Search results in one format for Python, the command line and REST."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument, MissingExtra
from pairdex.files import json_values
from pairdex.knn.distance import similarity as similarity_of
from pairdex.search.report import SearchReport
from pairdex.store.row_html import MAX_CARDS, Pictures, Row, grid
from pairdex.store.store import Store
from pairdex.wording import counted

__all__ = ["FIRST", "Hits", "as_hit", "describe", "hit_columns", "with_folded"]

# JSON lists these columns first for every hit; a missing column is null.
FIRST = {"id": None, "distance": None, "similarity": None, "url": None, "caption": None}

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False, repr=False)
class Hits:
    """Search results, best first.

    `len(hits)` is the number of rows. `for hit in hits` and `hits[0]` return rows as dictionaries.
    `hits[2:5]` returns `Hits`, and `hits["caption"]` returns a column. A notebook shows the first
    24 rows with their pictures. `polars.DataFrame(hits)` and `pyarrow.table(hits)` read the rows.

    Attributes
    ----------
    table
        A pyarrow.Table: `id` int64, `distance` float64 (1 - cos, or a projection's), `similarity`
        float64 (cos), then the metadata columns. A stored column `similarity` is renamed
        `pair_similarity`. `distance` and `similarity` are null if no vectors were compared. Searches
        that use keywords add columns that explain the order: `fused_score`, `vector_rank` and
        `keyword_rank` (from 1; null beyond the rows that were fused), or `keyword_score` (BM25).
    report
        How the search ran: the method that answered, whether it was exact, and how many rows it scanned
        and compared.
    collection
        The folder of the collection, where a notebook finds the rows' pictures; None: no pictures.
    """

    table: pa.Table
    report: SearchReport
    collection: Path | None = None

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.table.to_batches():
            yield from batch.to_pylist()

    @overload
    def __getitem__(self, key: int) -> Row: ...
    @overload
    def __getitem__(self, key: slice) -> Hits: ...
    @overload
    def __getitem__(self, key: str) -> pa.ChunkedArray: ...
    def __getitem__(self, key: int | slice | str) -> Row | Hits | pa.ChunkedArray:
        if isinstance(key, slice):
            places = np.arange(len(self))[key]
            return Hits(self.table.take(pa.array(places)), self.report, self.collection)
        if isinstance(key, str):
            if key not in self.table.column_names:
                raise InvalidArgument(
                    f"hits have no column {key}; they have {', '.join(self.table.column_names)}",
                    field="key",
                )
            return self.table[key]
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise InvalidArgument(
                f"key is {key!r}, expected a place, a slice or the name of a column", field="key"
            )
        place = int(key) + len(self) * (key < 0)
        if not 0 <= place < len(self):
            raise IndexError(f"place {key} is out of range of {counted(len(self), 'hit')}")
        return Row(self.table.slice(place, 1).to_pylist()[0], self.collection)

    def __repr__(self) -> str:
        if not len(self):
            return "<Hits: no rows>"
        first = self.table.slice(0, 1).to_pylist()[0]
        at = "" if first["distance"] is None else f" at {first['distance']:.4g}"
        return f"<Hits: {self._summary()}; first: id {first['id']}{at}>"

    def _repr_html_(self) -> str:
        """Return the first rows as a grid of pictures and captions."""
        title = self._summary() if len(self) else "no rows"
        if len(self) > MAX_CARDS:
            title += f"; the first {MAX_CARDS} are shown"
        rows = self.table.slice(0, MAX_CARDS).to_pylist()
        return grid(rows, Pictures(self.collection), title=title)

    def _summary(self) -> str:
        rows = counted(len(self), "row")
        exactly = "exact" if self.report.exact else "approximate"
        return f"{rows}, {exactly if self.report.method == 'vectors' else self.report.method}"

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the table to any library that reads Arrow: `polars.DataFrame(hits)`."""
        return self.table.__arrow_c_stream__(requested_schema)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids of the rows, shape (n,)."""
        return np.asarray(self.table["id"], np.int64)

    @property
    def distances(self) -> NDArray[np.float64]:
        """The distances of the rows, shape (n,); NaN if no vectors were compared."""
        return np.asarray(self.table["distance"], np.float64)

    def to_pandas(self) -> Any:  # noqa: ANN401 - a DataFrame of an optional package
        """Return the table as a pandas.DataFrame.

        Raises
        ------
        MissingExtra
            pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - optional
        except ImportError as error:
            raise MissingExtra("to_pandas needs pandas: pip install pandas") from error
        return self.table.to_pandas()

    def to_polars(self) -> Any:  # noqa: ANN401 - a DataFrame of an optional package
        """Return the table as a polars.DataFrame.

        Raises
        ------
        MissingExtra
            polars is not installed.
        """
        try:
            import polars  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingExtra("to_polars needs polars: pip install polars") from error
        return polars.from_arrow(self.table)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries of JSON-compatible values; `url` and `caption` are always there."""
        return [FIRST | row for row in json_values.rows(self.table)]


def describe(
    store: Store,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    similarity: NDArray[np.float64] | None = None,
    why: Mapping[str, pa.Array] = _NOTHING,
) -> pa.Table:
    """Build the table of `Hits` from the found rows.

    `similarity` is the cosine or inner product with the query; its default is what the distance stands for.
    NaN becomes null. `why` holds
    columns, shape (n,), that explain the order. Rows removed after the search began are left out.
    """
    live = store.allowed()
    found = (ids >= 0) & (True if live is None else live[ids])
    similar = similarity_of(store.metric, distances) if similarity is None else similarity
    ids, distances, similar = ids[found], distances[found], similar[found]
    metadata = store.read(ids)
    table = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "distance": pa.array(distances, pa.float64(), from_pandas=True),
            "similarity": pa.array(similar, pa.float64(), from_pandas=True),
        }
    )
    for name, column in zip(metadata.column_names, metadata.columns, strict=True):
        table = table.append_column(_renamed(name, why), column)
    for name, column in why.items():
        table = table.append_column(name, column.filter(pa.array(found)))
    return table


def with_folded(table: pa.Table, folded: dict[int, list[int]]) -> pa.Table:
    """Add the column `folded`: the ids folded into each row."""
    inside = pa.array([folded[row_id] for row_id in table["id"].to_pylist()], pa.list_(pa.int64()))
    kept = [name for name in table.column_names if name != "folded"]
    return table.select(kept).append_column("folded", inside)


def as_hit(
    row_id: int,
    distance: float,
    similarity: float,
    row: dict[str, Any],
    why: Mapping[str, Any] = _NOTHING,
) -> dict[str, Any]:
    """Return one found row for JSON. This is faster than a table for a few rows.

    Parameters
    ----------
    row
        The row's metadata from `Store.values`.
    why
        The values that explain its place.
    """
    found = {"id": row_id, "distance": distance, "similarity": similarity}
    if not why:
        return FIRST | found | hit_columns(row)
    return FIRST | found | {_renamed(name, why): row[name] for name in row} | dict(why)


def hit_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Rename a row's columns to the names used in hits."""
    if "similarity" not in row:
        return row
    return {_renamed(name): row[name] for name in row}


def _renamed(name: str, why: Container[str] = ()) -> str:
    """Return a column's name in hits, where `similarity` means the cosine to the query.

    Columns with the name of one that explains the order get `stored_` before it.
    """
    if name in why:
        return f"stored_{name}"
    return "pair_similarity" if name == "similarity" else name
