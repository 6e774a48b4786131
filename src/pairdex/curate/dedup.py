"""Removing near-duplicates: a new collection in which no two rows are within a distance of each other.

Rows are visited in a stated order. A row is dropped if, and only if, a row that was kept before it is
within the threshold; so every dropped row has a kept one near it, and no two kept rows are near each
other. Distances are the certified search's, in float64; vectors of the same bytes are at distance 0.
Block sizes, threads and interruptions change nothing of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.curate.copies import Order
from pairdex.curate.decisions import KEPT, Decisions
from pairdex.curate.derive import derive_collection
from pairdex.curate.groups import Groups, count_groups, write_groups
from pairdex.curate.near_duplicates import DEFAULT_THRESHOLD, decide
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.progress import Progress, at_step
from pairdex.store.folder import claimed
from pairdex.store.manifest import MANIFEST, Origin
from pairdex.store.staging import STAGING
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.work.executors import check_workers, seen_alike

__all__ = [
    "DEFAULT_KEEP",
    "MAX_THRESHOLD",
    "DedupReport",
    "DedupRule",
    "Keep",
    "dedup",
    "make_dedup",
]

Keep = Literal["first", "largest", "similar"]

MAX_THRESHOLD = 1.0  # beyond it, rows of opposite directions would be near each other
DEFAULT_KEEP: Keep = "first"

_COLUMNS: dict[Keep, tuple[str, ...]] = {
    "first": (),
    "largest": ("width", "height"),
    "similar": ("similarity",),
}


@dataclass(frozen=True)
class DedupRule:
    """Which rows are dropped.

    Attributes
    ----------
    threshold
        A row is dropped if a kept one is at most so far, as 1 - cos.
    keep
        The order in which rows are visited: the first id first; the largest width times height first;
        the most similar picture and caption first. Rows without a value come last, equal ones by id.
    on
        Which vectors are compared.
    """

    threshold: float = DEFAULT_THRESHOLD
    keep: Keep = DEFAULT_KEEP
    on: VectorField = "image"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= MAX_THRESHOLD:
            raise InvalidArgument(
                f"the threshold is {self.threshold}, expected a distance of 0 to {MAX_THRESHOLD}",
                field="threshold",
            )
        if self.keep not in get_args(Keep):
            raise InvalidArgument(
                f"keep is {self.keep!r}, expected one of {', '.join(get_args(Keep))}", field="keep"
            )


@dataclass(frozen=True)
class DedupReport:
    """What was found.

    Attributes
    ----------
    rows, dropped
        Rows of the new collection, and how many fewer they are than the live rows of the first.
    groups
        Kept rows for which others were dropped; None where the new collection was there already.
    largest_group
        Rows of the largest group, the kept one included; 0 if nothing was dropped.
    """

    rows: int
    dropped: int
    groups: int | None
    largest_group: int | None
    threshold: float
    keep: Keep
    on: VectorField
    seconds: float


@checked
def dedup(
    collection: StrPath,
    new: StrPath,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    keep: Keep = DEFAULT_KEEP,
    on: VectorField = "image",
    report: StrPath | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> DedupReport:
    """Make a new collection without near-duplicates; resumed by the same call.

    A row is dropped if, and only if, a row that was kept before it is within the threshold.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    threshold
        The distance, 1 - cos, up to which rows are near-duplicates.
    keep
        Which row of several is kept, as rows are visited in this order: `first` by id, `largest` by
        width times height, `similar` by the column `similarity`.
    on
        Which vectors are compared.
    report
        A Parquet file to write: id, kept_id and distance of every dropped row.
    workers
        How many parts of the new collection are written at once.
    cluster
        The address of a Ray cluster (host:port) whose nodes write these parts, or `auto`. All nodes must see both
        collections' folders. This process compares the rows.
    progress
        Called with the step, the rows done and the rows in all.

    Returns
    -------
    DedupReport
        Rows kept and dropped, and their groups.

    Raises
    ------
    PairdexError
        A wrong option; a damaged file; `new` is something else already; a full disk.
    """
    rule = DedupRule(threshold, keep, on)
    place, target = (seen_alike(Path(one), cluster) for one in (collection, new))
    store = Store(place)
    store.check_cosine("dedup")
    out = None if report is None else Path(report)
    return make_dedup(
        store, target, rule, out=out, workers=workers, cluster=cluster, progress=progress
    )


def make_dedup(
    store: Store,
    new: Path,
    rule: DedupRule,
    *,
    out: Path | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> DedupReport:
    """Make a collection without near-duplicates; the same call goes on where a killed one stopped.

    Parameters
    ----------
    out
        A Parquet file to write: `id`, `kept_id` and `distance` of every dropped row, by ascending id.
    workers
        How many parts of the new collection are written at once.
    cluster
        The address of a Ray cluster whose nodes write them, or `auto`; paths are absolute then.
    progress
        Called with the name of a step, the rows done and the rows in all.

    Raises
    ------
    InvalidArgument, Mismatch
        A column is missing that `keep` needs; `new` is something else; rows were removed meanwhile.
    PairdexError
        A damaged file, another writer, no room.
    """
    started = time.perf_counter()
    show = progress or (lambda *_: None)
    check_workers(workers, cluster)
    store.check_kind(rule.on)
    _check_columns(store, rule.keep)
    _check_out(new, out)
    checksum, live = store.checksum, store.allowed()
    facts = {"command": "dedup", "threshold": rule.threshold, "keep": rule.keep, "on": rule.on}
    origin = Origin(store.name, checksum, facts)
    groups: Groups | None = None
    kept = np.ones(store.rows, np.bool_) if live is None else live
    rows = int(np.count_nonzero(kept))
    if not (new / MANIFEST).exists():
        with claimed(new):
            plan = {"collection": checksum, **facts, "version": __version__}
            decisions = Decisions(new / STAGING / "dedup", store.rows, plan)
            order = _order(store, rule.keep, live)
            decide(
                store.vectors(rule.on),
                order,
                decisions,
                threshold=rule.threshold,
                progress=show,
            )
            groups = count_groups(decisions)
            if out is not None:
                write_groups(out, decisions, {"created_by": f"pairdex {__version__}", **plan})
            kept = decisions.state[: store.rows] == KEPT
        if store.checksum != checksum:
            raise Mismatch(
                f"rows were removed from {store.path} meanwhile: run the same command again"
            )
    made = derive_collection(
        store,
        new,
        kept,
        origin=origin,
        workers=workers,
        cluster=cluster,
        progress=at_step(progress, "writing"),
    )
    return DedupReport(
        made.rows,
        rows - made.rows,
        groups.count if groups else None,
        groups.largest if groups else None,
        rule.threshold,
        rule.keep,
        rule.on,
        time.perf_counter() - started,
    )


def _check_columns(store: Store, keep: Keep) -> None:
    for name in _COLUMNS[keep]:
        if name not in store.schema.names:
            raise InvalidArgument(
                f"{store.path} has no column {name}, which keep={keep} needs; "
                f"it has {', '.join(store.schema.names)}",
                field="keep",
            )


def _check_out(new: Path, out: Path | None) -> None:
    if out is not None and out.suffix != ".parquet":
        raise InvalidArgument(
            f"cannot write a report to {out}: expected a name that ends in .parquet", field="report"
        )
    if out is not None and (new / MANIFEST).exists() and not out.exists():
        raise InvalidArgument(
            f"{new} is a collection already, and was made without the report {out}: name a new folder",
            field="report",
        )


def _order(store: Store, keep: Keep, live: NDArray[np.bool_] | None) -> Order:
    """Return the ids in the order of their visit, without removed rows."""
    if keep == "first":
        return range(store.rows) if live is None else np.flatnonzero(live)
    keys = np.concatenate([_keys(table, keep) for _, table in store.tables()])
    if live is not None:
        ids = np.flatnonzero(live)
        return ids[np.argsort(-keys[ids], kind="stable")]
    return np.argsort(-keys, kind="stable")


def _keys(table: pa.Table, keep: Keep) -> NDArray[np.float64]:
    """Return a number for each row: larger ones are visited earlier, those without a value last."""
    if keep == "largest":
        width, height = (table[name].cast(pa.float64()) for name in _COLUMNS[keep])
        values = pc.multiply(width, height)
    else:
        values = table["similarity"].cast(pa.float64())
    keys = values.fill_null(-np.inf).to_numpy()
    return np.where(np.isnan(keys), -np.inf, keys)
