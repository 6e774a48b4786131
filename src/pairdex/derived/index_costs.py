"""What searches of a collection cost on this machine: measured with vectors of the collection itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import find_own_codes
from pairdex.ivf.costs import Costs, QueryKind
from pairdex.ivf.efforts import Effort
from pairdex.ivf.quantiser import rows_at
from pairdex.ivf.search import InvertedIndex
from pairdex.ivf.timing import COSTED_QUERIES, THOROUGH, Pace, measure_costs
from pairdex.knn.codes import Codes, code_rows
from pairdex.store.store import Store, VectorField
from pairdex.work.processors import usable_processors

__all__ = ["costed_queries", "costs_of"]


def costs_of(
    store: Store,
    on: VectorField,
    index: InvertedIndex,
    efforts: Mapping[QueryKind, Mapping[int, Sequence[Effort]]],
    *,
    pace: Pace = THOROUGH,
) -> Costs:
    """Measure what searches by an index cost, and what exact searches do."""
    other: VectorField = "text" if on == "image" else "image"
    kinds: list[tuple[QueryKind, VectorField]] = [("own", on), ("other", other)]
    seed = index.file.header.seed
    queries = {
        kind: costed_queries(store.vectors(field).blocks, store.rows, seed)
        for kind, field in kinds
        if field in store.manifest.vectors
    }
    codes = _codes(store, on, other, index, pace)
    return measure_costs(index, efforts, queries, store.vectors(on).blocks, codes, pace=pace)


def costed_queries(
    blocks: Sequence[NDArray[np.float16]], rows: int, seed: int
) -> NDArray[np.float32]:
    """Draw queries from the rows that have a direction; random ones if there are none."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(rows, min(COSTED_QUERIES, rows), replace=False))
    drawn = rows_at(blocks, ids).astype(np.float32)
    good = np.isfinite(drawn).all(axis=1) & drawn.any(axis=1)
    if good.any():
        return rng.permutation(drawn[good])
    return rng.standard_normal(drawn.shape, np.float32)


def _codes(
    store: Store, on: VectorField, other: VectorField, index: InvertedIndex, pace: Pace
) -> Codes | None:
    """Return the codes of the rows; those of the first rows if there are none yet."""
    codes = find_own_codes(store, on)
    if codes is not None or index.on_disk:
        return codes
    blocks = store.vectors(on).blocks
    rows = rows_at(blocks, np.arange(min(store.rows, pace.rows)))
    like = store.vectors(other).blocks if other in store.manifest.vectors else ()
    return code_rows(rows, like=like, threads=usable_processors())
