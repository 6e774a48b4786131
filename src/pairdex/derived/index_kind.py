"""The approximate indexes of a collection, lists and graphs, as kinds of derived data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from pairdex.derived.graph import find_graph, graph_path, wants_rebuild
from pairdex.derived.index import find_index, ivf_path, renew_graph, renew_index
from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.files.checks import Check, reading_check
from pairdex.files.sections import SectionedFile
from pairdex.graph_index.efforts import read_points as read_graph_points
from pairdex.graph_index.file import GraphFile
from pairdex.ivf.efforts import points_path, read_points
from pairdex.ivf.file import IvfFile
from pairdex.progress import Progress
from pairdex.store.store import Store, VectorField

__all__ = ["GRAPH", "IVF"]


@dataclass(frozen=True)
class _Index:
    """What differs between kinds of index.

    Attributes
    ----------
    name
        The name of the kind, and of its file.
    options
        Of the `pairdex index` that makes it.
    path
        Where its file lies, for a kind of vectors.
    details
        Facts for `DerivedInfo`; None if it is damaged, or of other vectors.
    file, points
        Open its file, and read its operating points.
    renew
        Bring it up to date with its earlier settings.
    """

    name: str
    options: str
    path: Callable[[Path, VectorField], Path]
    details: Callable[[Store, VectorField], dict[str, Any] | None]
    file: Callable[[Path], SectionedFile[Any]]
    points: Callable[[Path], object]
    renew: Callable[..., object]


def _kind(index: _Index) -> DerivedKind:
    return DerivedKind(
        name=index.name,
        heading="indexes",
        files=(f"indexes/*/{index.name}", f"indexes/*/{index.name}.json"),
        find=partial(_find, index),
        describe=partial(_describe, index),
        checks=partial(_checks, index),
        make=partial(_make, index),
    )


def _find(index: _Index, collection: Path) -> list[str]:
    return [on for on in get_args(VectorField) if index.path(collection, on).exists()]


def _describe(index: _Index, store: Store, name: str) -> DerivedInfo:
    on = cast("VectorField", name)
    details = index.details(store, on)
    return DerivedInfo(
        index.name,
        name,
        title=f"{index.name} of {on} vectors",
        rows=None if details is None else store.rows,
        bytes=index.path(store.path, on).stat().st_size,
        current=details is not None,
        details={"on": on, **(details or {})},
    )


def _checks(index: _Index, collection: Path, name: str) -> Iterator[Check]:
    path = index.path(collection, cast("VectorField", name))
    remedy = f"run pairdex index {collection} --on {name}{index.options} again"
    yield reading_check(collection, path, partial(_read_all, index, path), remedy=remedy)
    points = points_path(path)
    if points.exists():
        yield reading_check(collection, points, partial(index.points, points), remedy=remedy)


def _read_all(index: _Index, path: Path) -> None:
    index.file(path).verify()


def _make(index: _Index, collection: Path, name: str, progress: Progress | None) -> None:
    index.renew(collection, cast("VectorField", name), progress=progress)


def _details_of_lists(store: Store, on: VectorField) -> dict[str, Any] | None:
    found = find_index(store, on)
    if found is None:
        return None
    index, points = found
    return {
        "nlist": index.file.header.nlist,
        "asked": points.recall,
        "on_disk": points.on_disk,
    }


def _details_of_graph(store: Store, on: VectorField) -> dict[str, Any] | None:
    found = find_graph(store, on)
    if found is None:
        return None
    graph, points = found
    header = graph.file.header
    return {
        "degree": header.degree,
        "nodes": header.nodes,
        "asked": points.recall,
        "inserted": header.inserted,
        "rebuild": wants_rebuild(store, header),
    }


IVF = _kind(
    _Index(
        name="ivf",
        options="",
        path=ivf_path,
        details=_details_of_lists,
        file=IvfFile,
        points=read_points,
        renew=renew_index,
    )
)
GRAPH = _kind(
    _Index(
        name="graph",
        options=" --kind graph",
        path=graph_path,
        details=_details_of_graph,
        file=GraphFile,
        points=read_graph_points,
        renew=renew_graph,
    )
)
