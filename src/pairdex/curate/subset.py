"""Subsets: a new collection of the rows that a rule chooses, by part, filter, list, chance and number."""

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

__all__ = ["SubsetRule", "choose", "make_subset", "subset"]


@dataclass(frozen=True)
class SubsetRule:
    """Which of the rows that were not removed a subset has; the defaults keep all of them.

    Applied in the order of the attributes.

    Attributes
    ----------
    parts
        Numbers of the released parts.
    where
        A SQL predicate over the columns and `id`.
    without
        Ids to leave out, or a file of them.
    sample, seed
        How many of the rows to draw at random, and from which stream.
    limit
        How many rows to keep at most, the first ones.
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
    progress: Progress | None = None,
) -> BuildReport:
    """Make a new collection of some rows of another; resumed by the same call.

    The options are applied in their order here. Rows get new ids in the old order; their vectors
    and columns stay as they are.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    parts
        Only the rows of these released parts: integers, or a text like `0-9,12`; all when None.
    where
        A SQL predicate over the columns and `id`.
    without
        Ids to leave out: integers (n,), or a file of them: .h5 as `pairdex queries` writes it, .npy,
        .csv or .txt.
    sample
        Draw N rows at random, uniformly and without replacement.
    seed
        Another one draws other rows; with the same one a smaller sample is within a larger.
    limit
        Keep only the first N rows.
    workers
        How many parts are written at once, each in a process of its own.
    progress
        Called with the step, the rows done and the rows in all.

    Returns
    -------
    BuildReport
        What the new collection holds.

    Raises
    ------
    PairdexError
        No row is left; a wrong option; a damaged file; `new` is something else already; a full disk.
    """
    rule = SubsetRule(
        parts=numbers_of(parts),
        where=where,
        without=ids_or_file(without, field="without"),
        sample=sample,
        seed=seed,
        limit=limit,
    )
    store = Store(Path(collection), mapped=False)
    return make_subset(
        store, Path(new), rule, workers=workers, progress=at_step(progress, "writing")
    )


def make_subset(
    store: Store,
    new: Path,
    rule: SubsetRule,
    *,
    workers: int = 1,
    progress: StepProgress | None = None,
) -> BuildReport:
    """Make a collection of the rows that the rule chooses; resumed by the same call.

    Raises
    ------
    PairdexError
        No row is chosen, a wrong rule, a damaged file, no room; `new` is something else already.
    """
    without = None if rule.without is None else ids_of(store, rule.without)
    origin = Origin(store.manifest.name, store.checksum, _record(store, rule, without))
    report = derived_before(new, origin)
    if report is not None:
        return report
    keep = choose(store, rule, without)
    return derive_collection(store, new, keep, origin=origin, workers=workers, progress=progress)


def choose(store: Store, rule: SubsetRule, without: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Return which rows the rule chooses, shape (store.rows,), with the file of ids already read.

    Raises
    ------
    InvalidArgument
        A part that is not there, a filter that is no predicate, fewer rows than are to be drawn.
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
    """Return what the manifest says of a rule: no path, and nothing of what was not asked for."""
    given: dict[str, Any] = {"command": "subset"}
    if rule.parts is not None:
        given["parts"] = format_numbers(rule.parts)
    if rule.where is not None:
        given["where"] = rule.where
        # A filter sees computed columns too, which the collection's own checksum does not cover.
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
