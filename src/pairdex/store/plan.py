"""Deciding what a build will make: which rows, which parts are new, which columns, which manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.distance import Metric
from pairdex.parts.columns import ORIGIN, Column, ColumnPlan, plan_columns, plan_parts
from pairdex.parts.layout import DEFAULT_TOWER, Part, Tower
from pairdex.parts.model_record import ModelRecord, shown_model
from pairdex.parts.nsfw import DEFAULT_RULE, RULES, NsfwRule
from pairdex.parts.subsets import SisapSubset, find_subset
from pairdex.predicate import Predicate
from pairdex.store.manifest import DEFAULT_METRIC, ColumnEntry, Filter, Manifest, VectorField
from pairdex.store.metadata import MetadataFile
from pairdex.version import __version__

__all__ = [
    "Selection",
    "check_additions",
    "plan_additions",
    "plan_collection",
    "released_schema",
    "selection_of",
    "source_name",
]


@dataclass(frozen=True)
class Selection:
    """Which rows of the parts to keep; the defaults keep all.

    `parts` are the parts' own numbers; `limit` is how many rows the collection gets at most; `tower`
    picks one of the two models of DataComp's parts; `subset` is the one of SISAP's that the others
    were taken from, see `selection_of`.
    """

    parts: frozenset[int] | None = None
    nsfw: NsfwRule = DEFAULT_RULE
    where: str | None = None
    limit: int | None = None
    tower: Tower = DEFAULT_TOWER
    subset: SisapSubset | None = None

    def __post_init__(self) -> None:
        if self.nsfw not in RULES:
            raise InvalidArgument(
                f"the NSFW rule is {self.nsfw!r}, expected one of {', '.join(RULES)}", field="nsfw"
            )
        if self.limit is not None and self.limit < 1:
            raise InvalidArgument(
                f"the limit is {self.limit}, expected at least 1 row", field="limit"
            )
        if self.where is not None:
            Predicate(self.where)


def selection_of(
    *,
    subset: str | None = None,
    parts: frozenset[int] | None = None,
    nsfw: NsfwRule | None = None,
    where: str | None = None,
    limit: int | None = None,
    tower: Tower = DEFAULT_TOWER,
) -> Selection:
    """Return the selection that these options mean; a subset decides on parts and rule.

    Raises
    ------
    InvalidArgument
        An unknown subset, or one together with parts or a rule; any value that cannot be.
    """
    if subset is None:
        return Selection(parts, nsfw or DEFAULT_RULE, where, limit, tower)
    named = find_subset(subset)
    for field, value in (("parts", parts), ("nsfw", nsfw)):
        if value is not None:
            raise InvalidArgument(
                f"{subset} says which parts and which NSFW rule; drop --{field}, or --subset",
                field=field,
            )
    limits = [value for value in (limit, named.limit) if value is not None]
    return Selection(
        named.numbers, named.nsfw, where, min(limits, default=None), tower, subset=named
    )


def source_name(path: Path, source: Path) -> str:
    """Return what the manifest calls a file: its place in the source's folder, or its bare name."""
    folder = source if source.is_dir() else source.parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def plan_collection(
    name: str,
    parts: Sequence[Part],
    selection: Selection,
    model: ModelRecord | None,
    *,
    metric: Metric = DEFAULT_METRIC,
) -> tuple[Manifest, ColumnPlan]:
    """Return the manifest of a new collection, still without parts, and its columns.

    Raises
    ------
    Mismatch
        The parts' columns do not agree, or lack what the NSFW rule needs.
    """
    plan = plan_parts(parts)
    columns = plan.of_parts[0]
    _check_nsfw(columns, parts[0], selection)
    manifest = Manifest(
        name=name,
        created_by=f"pairdex {__version__}",
        dim=parts[0].dim,
        vectors=_kinds(parts[0]),
        filter=Filter(selection.nsfw, selection.where),
        columns=[
            *(ColumnEntry(column.name, str(column.type), column.source) for column in columns),
            *(ColumnEntry(name, str(kind), None) for name, kind in ORIGIN),
        ],
        parts=[],
        model=model,
        metric=metric,
    )
    return manifest, plan


def check_additions(
    collection: Path,
    before: Manifest,
    parts: Sequence[Part],
    selection: Selection,
    model: ModelRecord | None,
    *,
    metric: Metric | None = None,
) -> None:
    """Refuse parts of another kind than those that a collection holds, or another metric than its own.

    Raises
    ------
    Mismatch
        The parts are of another kind than those the collection holds, or it was made of another's
        rows.
    """
    if before.origin is not None:
        raise Mismatch(
            f"{collection} was made of rows of {before.origin.collection}: parts cannot be added to it; "
            "build them into a collection of their own"
        )
    held = [name for name in before.column_names if name not in dict(ORIGIN)]
    added = {column.name.lower(): column.name for column in plan_columns(parts)}
    names = [name if name.lower() in added else None for name in held]
    same = None not in names and len(held) == len(added)
    compared = {
        "dimension": (before.dim, parts[0].dim),
        "metric": (before.metric, metric or before.metric),
        "vectors": (" and ".join(before.vectors), " and ".join(_kinds(parts[0]))),
        "NSFW rule": (before.filter.nsfw, selection.nsfw),
        "filter": (before.filter.where or "none", selection.where or "none"),
        "columns": (
            ", ".join(sorted(held)),
            ", ".join(sorted(held if same else added.values())),
        ),
        "model": _models(before.model, model),
    }
    for what, (old, new) in compared.items():
        if old != new:
            raise Mismatch(
                f"{collection} has the {what} {old}, the parts to add have {new}: "
                "build them into a collection of their own"
            )


def plan_additions(
    collection: Path, before: Manifest, new: Sequence[Part], model: ModelRecord | None
) -> tuple[Manifest, ColumnPlan]:
    """Return the manifest of a collection that is to get more parts, and their columns.

    Raises
    ------
    Mismatch
        A new part has a column of a type that has nothing in common with the collection's.
    """
    manifest = replace(before, model=_better(before.model, model))
    if not new:
        return manifest, ColumnPlan([], [])
    plan = plan_parts(new, released_schema(collection, before))
    sources = {column.name: column.source or "" for column in before.columns}
    of_parts = [
        [replace(c, aliases=(sources[c.name], *c.aliases)) for c in columns]
        for columns in plan.of_parts
    ]
    return manifest, ColumnPlan(of_parts, plan.of_earlier)


def released_schema(collection: Path, manifest: Manifest) -> pa.Schema:
    """Return the columns of a collection's files with their types, those of the origin left out."""
    first = manifest.parts[0]
    schema = MetadataFile(collection / first.files["metadata"].path, first.rows).schema
    return pa.schema([field for field in schema if field.name not in dict(ORIGIN)])


def _kinds(part: Part) -> list[VectorField]:
    return ["image", "text"] if part.text else ["image"]


def _models(old: ModelRecord | None, new: ModelRecord | None) -> tuple[str, str]:
    """Return both models to compare; one that is known by name only agrees with any of that name."""
    old, new = old or new, new or old
    if old and new and None in (old["checksum"], new["checksum"]) and old["name"] == new["name"]:
        return old["name"], new["name"]
    return shown_model(old), shown_model(new)


def _better(old: ModelRecord | None, new: ModelRecord | None) -> ModelRecord | None:
    """Return the record to keep: the collection's own, unless only the new one has a checksum."""
    if old is None or (old["checksum"] is None and new is not None):
        return new
    return old


def _check_nsfw(columns: Sequence[Column], part: Part, selection: Selection) -> None:
    if selection.nsfw != "none" and "nsfw" not in {column.name for column in columns}:
        raise Mismatch(
            f"{part.metadata or part.table_name} has no column NSFW, which the rule "
            f"{selection.nsfw} needs; its columns are {', '.join(part.schema.names) or 'none'}"
        )
