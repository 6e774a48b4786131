"""The approximate indexes of a collection, as a kind of derived data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from pairdex.derived.index import find_index, ivf_path, renew_index
from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.files.checks import Check, reading_check
from pairdex.ivf.efforts import points_path, read_points
from pairdex.ivf.file import IvfFile
from pairdex.progress import Progress
from pairdex.store.store import Store, VectorField

__all__ = ["IVF"]


def _find(collection: Path) -> list[str]:
    return [on for on in get_args(VectorField) if ivf_path(collection, on).exists()]


def _describe(store: Store, name: str) -> DerivedInfo:
    on = cast("VectorField", name)
    found = find_index(store, on)
    details: dict[str, Any] = {"on": on}
    if found is not None:
        index, points = found
        nlist = index.file.header.nlist
        details |= {"nlist": nlist, "asked": points.recall, "on_disk": points.on_disk}
    return DerivedInfo(
        IVF.name,
        name,
        title=f"ivf of {on} vectors",
        rows=None if found is None else store.rows,
        bytes=ivf_path(store.path, on).stat().st_size,
        current=found is not None,
        details=details,
    )


def _checks(collection: Path, name: str) -> Iterator[Check]:
    path = ivf_path(collection, cast("VectorField", name))
    remedy = f"run pairdex index {collection} --on {name} again"
    yield reading_check(collection, path, partial(_read_all, path), remedy=remedy)
    points = points_path(path)
    if points.exists():
        yield reading_check(collection, points, partial(read_points, points), remedy=remedy)


def _read_all(path: Path) -> None:
    IvfFile(path).verify()


def _make(collection: Path, name: str, progress: Progress | None) -> None:
    renew_index(collection, cast("VectorField", name), progress=progress)


IVF = DerivedKind(
    name="ivf",
    heading="indexes",
    files=("indexes/*/ivf", "indexes/*/ivf.json"),
    find=_find,
    describe=_describe,
    checks=_checks,
    make=_make,
)
