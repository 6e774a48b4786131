"""Maps of collections for the REST interface: the version on disk, without removed rows."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.derived.atlas.files import Atlas, Record, open_atlas, read_record
from pairdex.errors import Mismatch, MissingFile
from pairdex.service.catalogue import ServedCollection
from pairdex.service.errors import ApiError
from pairdex.service.lookup import check_id
from pairdex.store.store import Store

__all__ = ["Atlases"]

_MOST_LABELS = 8  # colours that people tell apart
_OTHER = 255  # the code of all other values
_STEPS = 65_535  # of a position in a response: finer than a screen can show


@dataclass(frozen=True)
class _Opened:
    served: ServedCollection
    store: Store
    atlas: Atlas


class Atlases:
    """The maps of the collections, opened on request and again when they have changed."""

    def __init__(self) -> None:
        self._opened: dict[str, _Opened] = {}

    def describe(self, served: ServedCollection) -> dict[str, Any]:
        """Return the points of live rows, their weights, and the regions.

        Raises
        ------
        ApiError
            404, the collection does not have a map; 409, the map is older than the collection's
            vectors.
        """
        opened = self._open(served)
        atlas, live = opened.atlas, opened.store.allowed()
        weights = atlas.weights(live)
        shown = slice(None) if live is None else live[atlas.ids]
        return {
            "on": atlas.record.on,
            "rows": int(weights.sum()),
            "points": len(atlas.ids[shown]),
            "seed": atlas.record.seed,
            "regions": [asdict(region) for region in atlas.record.regions],
            "ids": _base64(atlas.ids[shown], "<f8"),
            "positions": _base64(np.rint(atlas.positions[shown] * _STEPS), "<u2"),
            "weights": _base64(weights[shown], "<u4"),
        }

    def column(self, served: ServedCollection, name: str) -> dict[str, Any]:
        """Return the values of a column for the points, in the order of `describe`.

        Numbers and times come as float64, NaN without a value; other columns as codes of their most
        frequent values.

        Raises
        ------
        ApiError
            As `describe`; also 404 for a column that the collection does not have.
        """
        if name not in served.collection.columns:
            raise ApiError(404, "not_found", f"there is no column {name!r}", "name")
        opened = self._open(served)
        live = opened.store.allowed()
        ids = opened.atlas.ids if live is None else opened.atlas.ids[live[opened.atlas.ids]]
        values = served.collection.take(ids, [name])[name].combine_chunks()
        return {"name": name, "type": str(values.type), **_shades(values)}

    def places(self, served: ServedCollection, ids: list[int]) -> list[list[float]]:
        """Return the positions of rows.

        Raises
        ------
        ApiError
            As `describe`; also 404 for an id that is not in the collection.
        """
        for row_id in ids:
            check_id(served, row_id, "ids")
        atlas = self._open(served).atlas
        positions = atlas.positions[atlas.places[np.asarray(ids, np.int64)]]
        return [[round(float(x), 6), round(float(y), 6)] for x, y in positions]

    def _open(self, served: ServedCollection) -> _Opened:
        record = _record(served)
        known = self._opened.get(served.name)
        if known is not None and known.served is served and known.atlas.record == record:
            return known
        store = Store(served.collection.path)
        try:
            opened = _Opened(served, store, open_atlas(store))
        except MissingFile as error:
            raise ApiError(404, "no_atlas", str(error)) from error
        except Mismatch as error:
            raise ApiError(409, "stale_atlas", str(error)) from error
        self._opened[served.name] = opened
        return opened


def _record(served: ServedCollection) -> Record:
    try:
        return read_record(served.collection.path)
    except MissingFile as error:
        raise ApiError(404, "no_atlas", str(error)) from error


def _shades(values: pa.Array) -> dict[str, Any]:
    """Return numbers, or labels and their codes, to colour points by."""
    kind = values.type
    if pa.types.is_temporal(kind):
        values = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        return {"numbers": _base64(numbers, "<f8"), "labels": None, "codes": None}
    texts = pc.fill_null(values.cast(pa.string()), "")
    counts = sorted(pc.value_counts(texts).to_pylist(), key=lambda one: -one["counts"])
    labels = [one["values"] for one in counts[:_MOST_LABELS]]
    codes = pc.fill_null(pc.index_in(texts, pa.array(labels, pa.string())), _OTHER)
    return {"numbers": None, "labels": labels, "codes": _base64(codes.to_numpy(), "u1")}


def _base64(values: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values.astype(dtype)).tobytes()).decode()
