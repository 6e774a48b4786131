"""Subsets: a new collection of rows selected by part, filter, list, sample and limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, checked
from pairdex.curate.derive import derive_collection, derived_before
from pairdex.curate.id_files import ids_of, ids_or_file
from pairdex.errors import InvalidArgument
from pairdex.files import checksums
from pairdex.parts.numbers import Parts, format_numbers, numbers_of
from pairdex.predicate import Predicate
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.build import BuildReport
from pairdex.store.fields import DEFAULT_SEED
from pairdex.store.manifest import Origin
from pairdex.store.sample import draw
from pairdex.store.scores import ScoreNote, read_scores
from pairdex.store.store import Store
from pairdex.work.executors import check_workers, seen_alike

__all__ = ["SubsetRule", "choose", "make_subset", "subset"]


@dataclass(frozen=True)
class SubsetRule:
    """The rule that selects rows for a subset. The defaults keep every row that was not removed.

    The conditions apply in the order of the attributes.

    Attributes
    ----------
    parts
        Numbers of the released parts to keep.
    where
        A SQL predicate over the columns and `id`.
    without
        Ids to leave out, or a file of them.
    sample, seed
        Number of rows to draw at random, and the random seed.
    limit
        Keep at most the first N rows.
    """

    parts: frozenset[int] | None = None
    where: str | None = None
    without: Path | NDArray[np.int64] | None = None
    sample: int | None = None
    seed: int = DEFAULT_SEED
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("sample", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidArgument(f"the {name} is {value}, expected at least 1 row", field=name)
        if self.where is not None:
            Predicate(self.where)


@checked
def subset(
    collection: StrPath,
    new: StrPath,
    *,
    parts: Parts | None = None,
    where: str | None = None,
    without: StrPath | ArrayLike | None = None,
    sample: int | None = None,
    seed: int = DEFAULT_SEED,
    limit: int | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Make a new collection from selected rows of another. Repeat the call to resume.

    The options apply in the order listed here. Rows get new ids in the old order. Their vectors and
    columns do not change.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    parts
        Keep only rows of these released parts: integers, or a text like `0-9,12`. None keeps all.
    where
        A SQL predicate over the columns and `id`.
    without
        Ids to leave out: integers (n,), or a file of ids: .h5 from `pairdex queries`, .npy, .csv or
        .txt.
    sample
        Draw N rows at random, uniformly and without replacement.
    seed
        Random seed. With the same seed, a larger sample contains every smaller one.
    limit
        Keep only the first N rows.
    workers
        Number of processes. Each writes one part at a time.
    cluster
        The address of a Ray cluster (host:port) whose nodes write the parts, or `auto`. All nodes must see both
        collections' folders.
    progress
        Called with the step, the number of rows done and the total.

    Returns
    -------
    BuildReport
        What the new collection holds.

    Raises
    ------
    PairdexError
        No row is selected, an option is invalid, a file is damaged, `new` already holds something
        else, or the disk is full.
    """
    rule = SubsetRule(
        parts=numbers_of(parts),
        where=where,
        without=ids_or_file(without, field="without"),
        sample=sample,
        seed=seed,
        limit=limit,
    )
    check_workers(workers, cluster)
    place, target = (seen_alike(Path(one), cluster) for one in (collection, new))
    store, step = Store(place, mapped=False), at_step(progress, "writing")
    return make_subset(store, target, rule, workers=workers, cluster=cluster, progress=step)


def make_subset(
    store: Store,
    new: Path,
    rule: SubsetRule,
    *,
    workers: int = 1,
    cluster: str | None = None,
    progress: StepProgress | None = None,
) -> BuildReport:
    """Make a collection of the rows that the rule selects. Repeat the call to resume.

    Raises
    ------
    PairdexError
        No row is selected, the rule is invalid, a file is damaged, the disk is full, or `new`
        already holds something else.
    """
    without = None if rule.without is None else ids_of(store, rule.without)
    origin = Origin(store.name, store.checksum, _record(store, rule, without))
    report = derived_before(new, origin)
    if report is not None:
        return report
    keep = choose(store, rule, without)
    return derive_collection(
        store, new, keep, origin=origin, workers=workers, cluster=cluster, progress=progress
    )


def choose(store: Store, rule: SubsetRule, without: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Return flags of the rows that the rule selects, shape (store.rows,), given the ids read.

    Raises
    ------
    InvalidArgument
        A part is missing, the filter is not a valid predicate, or fewer rows qualify than the
        sample needs.
    """
    removed = store.removed
    keep = np.ones(store.rows, np.bool_) if removed is None else ~removed
    if rule.parts is not None:
        keep &= _of_parts(store, rule.parts)
    if rule.where is not None:
        keep &= store.mask(rule.where)
    if without is not None:
        keep[without] = False
    if rule.sample is not None:
        keep = draw(keep, rule.sample, seed=rule.seed)
    if rule.limit is not None:
        keep[np.flatnonzero(keep)[rule.limit :]] = False
    return keep


def _of_parts(store: Store, numbers: frozenset[int]) -> NDArray[np.bool_]:
    held = frozenset(part.number for part in store.manifest.parts)
    if not numbers or not numbers <= held:
        asked = f"has no part {format_numbers(numbers - held)}" if numbers else "was asked for none"
        raise InvalidArgument(
            f"{store.path} {asked}; it has rows of the parts {format_numbers(held)}", field="parts"
        )
    flags = [np.full(part.rows, part.number in numbers) for part in store.manifest.parts]
    return np.concatenate(flags)


def _record(store: Store, rule: SubsetRule, without: NDArray[np.int64] | None) -> dict[str, Any]:
    """Return the manifest's record of a rule, without paths and without unused options."""
    given: dict[str, Any] = {"command": "subset"}
    if rule.parts is not None:
        given["parts"] = format_numbers(rule.parts)
    if rule.where is not None:
        given["where"] = rule.where
        # A filter may use computed columns, which the collection's checksum does not cover.
        given |= {f"computed_{note.name}": _of_values(note) for note in read_scores(store.path)}
    if without is not None:
        given["without_ids"] = len(without)
        given["without_checksum"] = checksums.of_bytes(without.astype("<i8").tobytes())
    if rule.sample is not None:
        given |= {"sample": rule.sample, "seed": rule.seed}
    if rule.limit is not None:
        given["limit"] = rule.limit
    return given


def _of_values(note: ScoreNote) -> str:
    return checksums.of_bytes(" ".join(part.checksum for part in note.parts).encode())
