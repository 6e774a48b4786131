"""Measuring what the steps and searches of a collection take, for `scale.py`; in processor time."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import scale_model as model
from numpy.typing import NDArray
from scale_model import Terms

import pairdex
from pairdex import _native
from pairdex.derived.codes import open_or_build_codes
from pairdex.ivf.efforts import Effort, OperatingPoints
from pairdex.ivf.parameters import KEPT
from pairdex.ivf.search import InvertedIndex
from pairdex.ivf.search import Plan as Efforts
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes
from pairdex.knn.cosine import Report
from pairdex.store.store import Store

DIM, RECALL, K = 768, 0.95, 10
LISTS = (256, 1024)  # of two indexes of the same rows
PAIR_ROWS, PAIR_LISTS = 8_192, 4_096
QUERIES, EXACT_QUERIES, ROUNDS, FILTERS = 100, 8, 3, 3


@dataclass(frozen=True)
class Measured:
    """A collection, its terms, the processor seconds of its steps, and of single queries by its index."""

    collection: Path
    rows: int
    terms: Terms
    steps: dict[str, float]
    times: list[float]
    effort: Effort


def drawn(folder: Path, tool: Path) -> Path:
    """Draw 100,000 rows in four parts."""
    command = [sys.executable, tool, "--out", folder / "parts", "--rows", "100000", "--parts", "4"]
    subprocess.run(command, check=True)
    return folder / "parts"


def widened(parts: Path, out: Path) -> Path:
    """Make parts of DIM dimensions: the vectors, and a rotation of their first coordinates behind them."""
    rng, turn = np.random.default_rng(1), None
    for path in sorted(parts.glob("*_emb/*.npy")):
        rows = np.load(path).astype(np.float32)
        more = DIM - rows.shape[1]
        if turn is None:
            turn = np.linalg.qr(rng.standard_normal((more, more)))[0].astype(np.float32)
        rows = np.concatenate([rows, rows[:, :more] @ turn], axis=1)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        target = out / path.relative_to(parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, rows.astype(np.float16))
    (out / "metadata").symlink_to((parts / "metadata").resolve())
    return out


def measured(parts: Path, folder: Path) -> Measured:
    """Build collections of the first part and of all, with everything, and measure each step."""
    folder.mkdir()
    few = Built(first_part(parts, folder / "first"), folder / "few", LISTS[:1])
    many = Built(parts, folder / "many", LISTS)
    with timing(many.steps, "verify"):
        pairdex.verify(many.collection)
    with timing(many.steps, "transfer"):
        pairdex.push(many.collection, f"file://{folder}/published")
    index, points = index_of(many.collection)
    effort = points.pick("own", K, RECALL)
    assert effort is not None, "it was built for this recall"
    terms, times = terms_of(parts, few, many), query_times(index, effort, many.store)
    return Measured(many.collection, many.rows, terms, many.steps, times, effort)


class Built:
    """A collection that is built of parts, with the processor seconds of its steps.

    Attributes
    ----------
    indexes
        The lists and the seconds of each index that was built.
    features, costs
        Of searches by them: one, the rows and lists that were scored, the rows that were compared; the seconds.
    """

    def __init__(self, parts: Path, collection: Path, lists: tuple[int, ...]) -> None:
        self.collection, self.steps = collection, dict[str, float]()
        with timing(self.steps, "build"):
            pairdex.build(parts, collection)
        self.store = Store(collection)
        self.rows = self.store.rows
        with timing(self.steps, "codes"):
            codes = open_or_build_codes(self.store, "image")
        with timing(self.steps, "keywords"):
            pairdex.open(collection).prepare_keywords()
        self.indexes: list[tuple[int, float]] = []
        self.features: list[list[float]] = []
        self.costs: list[float] = []
        for nlist in lists:
            self._index(nlist)
        self.steps["exact"], self.steps["filtered"] = exact_seconds(self.store, codes)

    def _index(self, nlist: int) -> None:
        with timing(self.steps, "index"):
            pairdex.index(self.collection, nlist=nlist)
        self.indexes.append((nlist, self.steps["index"]))
        for features, seconds in query_points(self.store, *index_of(self.collection)):
            self.features.append(features)
            self.costs.append(seconds)


def first_part(parts: Path, out: Path) -> Path:
    """Make a folder with the first of the parts."""
    for folder in sorted(path for path in parts.iterdir() if path.is_dir()):
        (out / folder.name).mkdir(parents=True)
        first = min(path for path in folder.iterdir() if "_0." in path.name)
        (out / folder.name / first.name).symlink_to(first.resolve())
    return out


@contextmanager
def timing(steps: dict[str, float], name: str) -> Iterator[None]:
    """Add the processor time of the block, also of the processes that it started, to a step."""
    before = processor_seconds()
    yield
    steps[name] = processor_seconds() - before


def processor_seconds() -> float:
    """Return the processor time of this process and of its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def index_of(collection: Path) -> tuple[InvertedIndex, OperatingPoints]:
    """Open the index of the images."""
    found = pairdex.open(collection).index("image")
    assert found is not None, "it was just built"
    return found


def queries_of(store: Store, count: int) -> NDArray[np.float32]:
    """Return vectors near rows that are spread over the collection."""
    ids = np.linspace(0, store.rows - 1, count).astype(np.int64)
    rows = store.vectors("image")[ids].astype(np.float32)
    noise = np.random.default_rng(2).standard_normal(rows.shape).astype(np.float32)
    return np.ascontiguousarray(rows + 0.3 / np.sqrt(rows.shape[1]) * noise)


def least(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least processor time of some rounds: other work on the machine only adds to it."""
    taken = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return min(taken)


def query_points(
    store: Store, index: InvertedIndex, points: OperatingPoints
) -> Iterator[tuple[list[float], float]]:
    """Yield the features of single queries with several efforts, and their mean processor time."""
    queries = queries_of(store, QUERIES)
    nlist = index.file.header.nlist
    for effort in points.efforts["own"][K][::2]:
        for rerank in (effort.rerank, 10 * effort.rerank):
            one = replace(effort, rerank=rerank)
            found = reports(index, queries, Efforts(one, one))
            scanned = sum(each.scanned for each in found) / len(queries)
            compared = sum(each.rechecked for each in found) / len(queries)
            yield [1.0, nlist + scanned, compared], mean(query_times(index, one, store))


def reports(index: InvertedIndex, queries: NDArray[np.float32], efforts: Efforts) -> list[Report]:
    """Search by the index, one query after the other on one thread."""
    return [index.search(query[None], K, efforts, threads=1).report for query in queries]


def query_times(index: InvertedIndex, effort: Effort, store: Store) -> list[float]:
    """Return the processor time of each query by the index: the least of some rounds."""
    efforts = Efforts(effort, effort)
    return [
        least(partial(reports, index, query[None], efforts)) for query in queries_of(store, QUERIES)
    ]


def exact_seconds(store: Store, codes: AnyCodes | None) -> tuple[float, float]:
    """Return the seconds of a certified search of one query, and of a new filter."""
    blocks = store.vectors("image").blocks
    search = partial(cosine.nearest, blocks, k=K, codes=codes, threads=1)
    exact = mean(
        least(partial(search, queries=query[None])) for query in queries_of(store, EXACT_QUERIES)
    )
    store.matching("width > 299")  # validates the metadata, once
    filters = (partial(store.matching, f"width > {300 + number}") for number in range(FILTERS))
    return exact, min(least(one, rounds=1) for one in filters)


def terms_of(parts: Path, few: Built, many: Built) -> Terms:
    """Return the terms of two collections that were measured."""
    rows, size = many.rows, partial(bytes_of, many.collection)
    lines = {
        name: line_of(name, few, many)
        for name in ("build", "codes", "keywords", "exact", "filtered")
    }
    index_start, index, pair = index_terms(few, many)
    query, scanned, compared = model.fit(
        np.array(few.features + many.features), np.array(few.costs + many.costs)
    )
    return Terms(
        dim=many.store.dim,
        **{name: row for name, (_, row) in lines.items()},
        index=index,
        pair=pair,
        verify=many.steps["verify"] / size("**/*"),
        transfer=many.steps["transfer"] / size("**/*"),
        query=float(query),
        scanned=float(scanned),
        compared=float(compared),
        released_bytes=bytes_of(parts, "metadata/*") / rows,
        metadata_bytes=size("metadata/*") / rows,
        keyword_bytes=size("indexes/keywords/*") / rows,
        code_bytes=size("indexes/image/codes") / rows,
        starts={name: start for name, (start, _) in lines.items()} | {"index": index_start},
    )


def line_of(step: str, few: Built, many: Built) -> tuple[float, float]:
    """Return the seconds of a step that do not depend on the rows, and those for a row."""
    features = np.array([[1.0, few.rows], [1.0, many.rows]])
    start, row = model.fit(features, np.array([few.steps[step], many.steps[step]]))
    return float(start), float(row)


def index_terms(few: Built, many: Built) -> tuple[float, float, float]:
    """Return the seconds of an index that depend on nothing, for a row, and for a compared pair."""
    pair = pair_seconds(many.store.dim)
    built = [(one.rows, *each) for one in (few, many) for each in one.indexes]
    costs = [cost - pair * model.compared_pairs(rows, nlist) for rows, nlist, cost in built]
    start, row = model.fit(np.array([[1.0, rows] for rows, *_ in built]), np.array(costs))
    return float(start), float(row), pair


def pair_seconds(dim: int) -> float:
    """Return the seconds of comparing a row with a list: differences of whole builds would drown in noise."""
    coordinates = model.choose(PAIR_ROWS, dim, nlist=PAIR_LISTS).coded + KEPT
    sample = np.random.default_rng(3).standard_normal((PAIR_ROWS, coordinates)).astype(np.float32)
    codes, facts = _native.ivf_code(sample, threads=1)
    lists = np.ascontiguousarray(sample[:PAIR_LISTS])
    assign = partial(_native.ivf_assign, sample, codes, facts, lists, threads=1, kernel="")
    return least(assign) / (PAIR_ROWS * PAIR_LISTS)


def bytes_of(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())
