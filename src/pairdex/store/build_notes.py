"""Sentences on what one should know of a build's parts and of what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pairdex.parts.bundle import BundleVectors
from pairdex.parts.columns import column_notes
from pairdex.parts.part import Part
from pairdex.store.manifest import Manifest, PartEntry
from pairdex.store.plan import Selection
from pairdex.wording import counted

__all__ = ["build_notes"]


def build_notes(
    parts: Sequence[Part], new: Sequence[PartEntry], manifest: Manifest, selection: Selection
) -> list[str]:
    """Return what one should know of the source's parts, and of the new ones in the collection."""
    notes = [
        f"{part.image.name} holds vectors as columns: they were turned into rows"
        for part in parts
        if isinstance(part.image, BundleVectors) and part.image.is_transposed
    ]
    if any(part.metadata is None for part in parts):
        notes.append(
            f"{parts[0].image.name} has no metadata beside it: the only columns are part and row"
        )
    notes += column_notes(parts)
    rounded = sum(part.rounded for part in manifest.parts)
    if rounded:
        notes.append(f"values of {counted(rounded, 'row')} were rounded to float16")
    return [*notes, *_of_values(new), *_of_links(new), *_of_subset(manifest, selection)]


def _of_values(new: Sequence[PartEntry]) -> list[str]:
    invalid: Counter[str] = Counter()
    for part in new:
        invalid.update(part.invalid)
    notes = [
        f"{counted(count, 'value')} of {name} did not fit the column: now missing, or replaced where "
        "bytes were not text"
        for name, count in invalid.items()
    ]
    return notes + [
        f"part {part.number} has {part.zero_run:,} rows of zeros one after the other, which were dropped: "
        "its file looks half fetched"
        for part in new
        if part.zero_run
    ]


def _of_links(new: Sequence[PartEntry]) -> list[str]:
    hard = sum("hard link" in part.link for part in new)
    copied = sum(part.link == "copy" for part in new)
    notes = []
    if hard:
        notes.append(
            f"the vectors of {counted(hard, 'part')} are the released files themselves (hard links): whoever "
            "changes those damages the collection, which pairdex verify shows"
        )
    if copied:
        notes.append(
            f"the vectors of {counted(copied, 'part')} were copied: rows were dropped or converted, or the files "
            "lie on another disk"
        )
    return notes


def _of_subset(manifest: Manifest, selection: Selection) -> list[str]:
    subset = selection.subset
    if subset is None or selection.where is not None or selection.limit != subset.limit:
        return []
    if {part.number for part in manifest.parts} != subset.numbers:
        return []
    return subset.remarks(manifest.rows)
