"""Run the whole pipeline in one call: draw pictures, encode them, build a collection, search it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pairdex.collection import Collection
from pairdex.demo.pictures import DEFAULT_COUNT, DEFAULT_SEED, draw_pictures
from pairdex.demo.vocabulary import EXAMPLES
from pairdex.encoders.encode import encode
from pairdex.encoders.model import BUILT_IN
from pairdex.progress import Progress, at_step
from pairdex.store.build import build

__all__ = ["DemoHit", "DemoQuery", "DemoReport", "make_demo"]

QUERIES = EXAMPLES[:5]
HITS = 5  # per query: enough to judge the result


@dataclass(frozen=True)
class DemoHit:
    """One result of a search."""

    id: int
    distance: float
    caption: str
    image_path: str


@dataclass(frozen=True)
class DemoQuery:
    """A text query and its nearest rows."""

    text: str
    hits: list[DemoHit]


@dataclass(frozen=True)
class DemoReport:
    """The folder and size of the collection, and the results of the example queries."""

    collection: str
    rows: int
    queries: list[DemoQuery]
    seconds: float


def make_demo(
    folder: str | Path,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = DEFAULT_SEED,
    progress: Progress | None = None,
) -> DemoReport:
    """Make `folder`/pictures, `folder`/parts and `folder`/collection, and search for a few texts.

    If a call is killed, the same call resumes it.

    Raises
    ------
    PairdexError
        The folder contains other files, or the disk is full.
    """
    started = time.perf_counter()
    root = Path(folder)
    pictures, parts, path = root / "pictures", root / "parts", root / "collection"
    draw_pictures(pictures, count=count, seed=seed, progress=at_step(progress, "drawing"))
    encode(pictures, parts, model=BUILT_IN, exif=False, progress=progress)
    build(parts, path, progress=progress)
    collection = Collection.open(path)
    queries = [_searched(collection, text) for text in QUERIES]
    return DemoReport(str(path), len(collection), queries, time.perf_counter() - started)


def _searched(collection: Collection, text: str) -> DemoQuery:
    found = collection.search(text, k=HITS)
    rows = found.table.select(["id", "distance", "caption", "image_path"]).to_pylist()
    return DemoQuery(text, [DemoHit(**row) for row in rows])
