"""The look-ups of words and of URLs as kinds of derived data, each with one file per part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.derived.lookups.keywords import KEYWORDS
from pairdex.derived.lookups.parts import Lookup, made_parts, make_files, part_files
from pairdex.derived.lookups.urls import URLS
from pairdex.files.array_files import open_arrays
from pairdex.files.checks import Check, reading_check
from pairdex.progress import Progress, at_step
from pairdex.store.store import Store

__all__ = ["LOOKUPS"]


def _kind(lookup: Lookup) -> DerivedKind:
    return DerivedKind(
        name=lookup.name,
        heading="look-ups",
        files=(f"indexes/{lookup.name}/[0-9]*",),
        find=partial(_find, lookup),
        describe=partial(_describe, lookup),
        checks=partial(_checks, lookup),
        make=partial(_make, lookup),
    )


def _find(lookup: Lookup, collection: Path) -> list[str]:
    return [lookup.name] if part_files(collection, lookup) else []


def _describe(lookup: Lookup, store: Store, name: str) -> DerivedInfo:
    parts = store.manifest.parts
    made = made_parts(store, lookup)
    return DerivedInfo(
        lookup.name,
        name,
        title=name,
        rows=sum(parts[index].rows for index in made),
        bytes=sum(path.stat().st_size for path in part_files(store.path, lookup)),
        current=len(made) == len(parts),
        details={"column": lookup.column},
    )


def _checks(lookup: Lookup, collection: Path, name: str) -> Iterator[Check]:
    for path in part_files(collection, lookup):
        remedy = f"delete {path}; the next search that needs it builds it again"
        opens = partial(open_arrays, path, kind=name, version=lookup.version, source=None)
        yield reading_check(collection, path, opens, remedy=remedy)


def _make(lookup: Lookup, collection: Path, name: str, progress: Progress | None) -> None:
    make_files(Store(collection), lookup, progress=at_step(progress, f"making {name}"))


LOOKUPS = tuple(map(_kind, (KEYWORDS, URLS)))
