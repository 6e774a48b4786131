"""From paths to reference data: what `pairdex queries` and `pairdex gold` do, codes included."""

from __future__ import annotations

from pathlib import Path

from pairdex.derived.codes import have_codes
from pairdex.derived.projections.files import Projection
from pairdex.files.query_files import read_query_set
from pairdex.knn.codes import Codes
from pairdex.progress import Progress, at_step
from pairdex.reference.gold import DEFAULT_GOLD_K, GoldReport, check_gold_wanted
from pairdex.reference.gold import gold as make_gold
from pairdex.reference.queries import (
    DEFAULT_N,
    QueriesReport,
    check_queries_wanted,
    draw_queries,
    searched_kind,
)
from pairdex.store.store import Kind, Store

__all__ = ["gold", "queries"]


def queries(
    collection: str | Path,
    out: str | Path,
    n: int = DEFAULT_N,
    *,
    on: Kind = "image",
    seed: int = 0,
    distinct: bool = False,
    against: str | Path | None = None,
    use_codes: bool = True,
    progress: Progress | None = None,
) -> QueriesReport:
    """Draw n queries from a collection by SISAP's rule of 2023 and write them to an HDF5 file.

    Parameters
    ----------
    out
        The file: `emb` (n, dim) float16, `ids` (n,) int64, the rows they came from.
    on
        Which vectors become queries; they are compared with the database's image vectors.
    seed
        The same seed draws the same rows.
    distinct
        Leave out rows nearer than 1e-4 to a query already taken.
    against
        The collection that is to be searched, when it is another.
    use_codes
        Whether codes are made and used: the same answer, sooner.
    progress
        Called with the step, what is done of it, and the whole.

    Raises
    ------
    PairdexError
        Fewer than n rows satisfy the rule; bad arguments; no room. No file is left.
    """
    store = Store(Path(collection))
    database = store if against is None else Store(Path(against))
    check_queries_wanted(store, Path(out), n, on=on, against=database)
    return draw_queries(
        store,
        Path(out),
        n,
        on=on,
        seed=seed,
        distinct=distinct,
        against=database,
        codes=_codes(database, searched_kind(database), progress) if use_codes else None,
        progress=at_step(progress, "queries"),
    )


def gold(
    collection: str | Path,
    queries: str | Path,
    out: str | Path,
    *,
    k: int = DEFAULT_GOLD_K,
    on: str = "image",
    device: str | None = None,
    use_codes: bool = True,
    progress: Progress | None = None,
) -> GoldReport:
    """Find the exact k nearest rows of query vectors and write them as a gold standard.

    Parameters
    ----------
    queries
        A file of query vectors (.npy, .npz, .h5, .fvecs), or `FILE:NAME`.
    out
        The HDF5 file: `knns` (n, k) int32 from 1, `dists` (n, k) float32.
    on
        image, text, or the name of a projection (pca96, hamming), in which queries are projected too.
    device
        A device of PyTorch that does the products instead: `cuda`.
    use_codes
        Whether codes are made and used: the same answer, sooner.
    progress
        Called with the step, what is done of it, and the whole.

    Raises
    ------
    PairdexError
        Bad queries or arguments; no room. No file is left.
    """
    store = Store(Path(collection))
    space = check_gold_wanted(store, Path(out), k, on=on, device=device)
    asked = read_query_set(queries)
    codes = None
    if use_codes and device is None and not isinstance(space, Projection):
        codes = _codes(store, space, progress)
    return make_gold(
        store,
        asked,
        Path(out),
        k=k,
        on=on,
        codes=codes,
        device=device,
        progress=at_step(progress, "gold"),
    )


def _codes(store: Store, on: Kind, progress: Progress | None) -> Codes | None:
    return have_codes(store, on, progress=at_step(progress, "making codes"))
