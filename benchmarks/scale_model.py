"""What a collection of any size takes: arithmetic from measured terms; `scale.py` measures them.

A shard is a collection of its own on one machine. Times are processor time of one core unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pairdex.ivf.file import GROUP_ROWS, group_stride
from pairdex.ivf.parameters import Size, choose

ROUNDS, SAMPLE_PER_LIST = 4, 24  # of the training of lists: `pairdex.ivf.quantiser`
ID_BYTES, VECTOR_BYTES = 4, 2
KINDS = 2  # image and text
SECONDS_PER_YEAR = 365 * 86_400


@dataclass(frozen=True)
class Terms:
    """What was measured on one machine with vectors of `dim` dimensions.

    Attributes
    ----------
    build, codes, keywords, exact, filtered
        Seconds for a row of these steps, of a certified search by codes, and of a filter that is not cached.
    index, pair
        Seconds of building an index for a row, and for a pair of row and list that is compared.
    verify, transfer
        Seconds for a byte that is verified in place, and that is pushed or pulled.
    query, scanned, compared
        Seconds of a search by the index: for a query, for a row or a list that is scored by codes, and for a
        row that is compared as stored.
    released_bytes, metadata_bytes, keyword_bytes, code_bytes
        Bytes of a row: of released metadata, of metadata, of the index of words, of codes.
    starts
        Seconds that a step takes once, whatever the rows, by its name.
    """

    dim: int
    build: float
    codes: float
    keywords: float
    exact: float
    filtered: float
    index: float
    pair: float
    verify: float
    transfer: float
    query: float
    scanned: float
    compared: float
    released_bytes: float
    metadata_bytes: float
    keyword_bytes: float
    code_bytes: float
    starts: dict[str, float] = field(default_factory=dict)

    def step(self, name: str, rows: float) -> float:
        """Return the seconds of a step over some rows."""
        return self.starts.get(name, 0.0) + float(getattr(self, name)) * rows


@dataclass(frozen=True)
class Plan:
    """A collection on some machines, one shard each."""

    rows: int
    machines: int
    cores: int
    memory_bytes: int
    disk_bytes: int
    disk_rate: float  # bytes a second, of a machine
    network_rate: float
    size: Size = "compact"

    @property
    def shard_rows(self) -> int:
        """The rows of a shard."""
        return -(-self.rows // self.machines)


@dataclass(frozen=True)
class Stage:
    """What one stage takes, on all machines together; `memory_bytes` on each."""

    name: str
    read_bytes: float
    written_bytes: float
    moved_bytes: float
    core_seconds: float
    memory_bytes: float = 0.0

    def hours(self, plan: Plan) -> float:
        """Return how long it takes if processors, disks and network are used side by side, at best."""
        by_cores = self.core_seconds / (plan.machines * plan.cores)
        by_network = self.moved_bytes / (plan.machines * plan.network_rate)
        by_disk = (self.read_bytes + self.written_bytes) / (plan.machines * plan.disk_rate)
        return max(by_cores, by_network, by_disk) / 3600


def index_bytes(rows: int, dim: int, size: Size) -> float:
    """Return the bytes of an index without the padding of its lists: half a group for each list is added."""
    chosen = choose(rows, dim, size=size)
    places = rows + chosen.nlist * GROUP_ROWS / 2
    return places * (group_stride(chosen.coded) / GROUP_ROWS + ID_BYTES)


def index_seconds(terms: Terms, rows: int, nlist: int) -> float:
    """Return the processor time of building an index: training compares its sample in each round."""
    return terms.step("index", rows) + terms.pair * compared_pairs(rows, nlist)


def compared_pairs(rows: int, nlist: int) -> int:
    """Return how many pairs of row and list the building of an index compares."""
    return nlist * (rows + ROUNDS * min(rows, SAMPLE_PER_LIST * nlist))


def query_seconds(terms: Terms, rows: int, nlist: int, nprobe: int, rerank: int) -> float:
    """Return the processor time of one query by the index of one shard: lists are ranked as rows are scanned."""
    scanned = nlist + nprobe * (rows / nlist + GROUP_ROWS / 2)
    return terms.query + terms.scanned * scanned + terms.compared * rerank


def stages(terms: Terms, plan: Plan) -> list[Stage]:
    """Return what each stage takes, in their order."""
    rows, shard = float(plan.rows), plan.shard_rows
    vectors = VECTOR_BYTES * terms.dim * rows  # of one kind
    released = KINDS * vectors + terms.released_bytes * rows
    built = KINDS * vectors + terms.metadata_bytes * rows
    chosen = choose(shard, terms.dim, size=plan.size)
    index = index_bytes(shard, terms.dim, plan.size)
    codes = terms.code_bytes * rows
    indexing = index_seconds(terms, shard, chosen.nlist) * plan.machines
    whole = built + KINDS * (codes + index * plan.machines) + terms.keyword_bytes * rows
    return [
        Stage("fetch", 0, released, released, terms.transfer * released),
        Stage("build", released, built, 0, terms.build * rows),
        Stage("codes", KINDS * vectors, KINDS * codes, 0, KINDS * terms.codes * rows),
        Stage(
            "index",
            KINDS * vectors,
            KINDS * index * plan.machines,
            0,
            KINDS * indexing,
            KINDS * index,
        ),
        Stage(
            "keywords",
            terms.metadata_bytes * rows,
            terms.keyword_bytes * rows,
            0,
            terms.keywords * rows,
        ),
        Stage("verify", whole, 0, 0, terms.verify * whole),
        Stage("push, or pull", whole, 0, whole, terms.transfer * whole),
    ]


def fit(features: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the non-negative factors of features (n, m) that fit times (n,) with the least relative error."""
    used = np.ones(features.shape[1], np.bool_)
    factors = np.zeros(features.shape[1])
    while used.any():
        scaled = features[:, used] / times[:, None]
        sizes = np.abs(scaled).max(axis=0)
        solved = np.linalg.lstsq(scaled / sizes, np.ones(len(times)), rcond=None)[0] / sizes
        factors[:] = 0
        factors[used] = solved
        if (solved >= 0).all():
            return factors
        used[np.flatnonzero(used)[np.argmin(solved * sizes)]] = False
    return factors


def simulate(
    times: Sequence[float],
    shards: int,
    load: float,
    *,
    cores: int,
    queries: int,
    seed: int = 0,
    late: float = 0.0,
    late_seconds: float = 0.0,
) -> tuple[float, float]:
    """Return the p50 and p99 in seconds of queries that all shards must answer.

    Queries arrive at random (Poisson). Each shard serves them in order on its cores, each for a time drawn from
    `times`; with the chance `late` an answer of a shard comes `late_seconds` later, without using its core.

    Parameters
    ----------
    load
        The share of the cores' time that is used, 0 to 1.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.asarray(times), (queries, shards))
    arrivals = np.cumsum(rng.exponential(np.mean(times) / (load * cores), queries))
    delays = (rng.random((queries, shards)) < late) * late_seconds
    free = np.zeros((shards, cores))
    each, answered = np.arange(shards), np.empty(queries)
    for number in range(queries):
        core = free.argmin(axis=1)
        ended = np.maximum(free[each, core], arrivals[number]) + drawn[number]
        free[each, core] = ended
        answered[number] = (ended + delays[number]).max() - arrivals[number]
    settled = answered[queries // 10 :]
    return float(np.quantile(settled, 0.5)), float(np.quantile(settled, 0.99))


def failures(rate_per_year: float, count: int, hours: float) -> float:
    """Return how many of some things fail in some hours, each with a rate a year."""
    return rate_per_year * count * hours * 3600 / SECONDS_PER_YEAR
