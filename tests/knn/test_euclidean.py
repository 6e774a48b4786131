"""Exact nearest rows by squared Euclidean distance: every kernel against float64 and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn import euclidean

KERNELS = _native.kernels()
FEW, MANY = 3, 60  # searched row by row, and by tiles


def lanes(rows, query):
    """Squared distances, summed as the search defines it: 16 partial sums, then halves."""
    with np.errstate(invalid="ignore"):
        squares = (rows.astype(np.float64) - query.astype(np.float64)) ** 2
    sums = np.zeros((len(rows), 16))
    for first in range(0, rows.shape[1], 16):
        part = squares[:, first : first + 16]
        sums[:, : part.shape[1]] += part
    while sums.shape[1] > 1:
        sums = sums[:, : sums.shape[1] // 2] + sums[:, sums.shape[1] // 2 :]
    return sums[:, 0]


def assert_exact(found, rows, queries, k, allowed=None):
    may = np.isfinite(rows).all(axis=1)
    if allowed is not None:
        may &= allowed
    candidates = np.flatnonzero(may)
    n = min(k, len(candidates))
    ids, distances = found
    assert ids.shape == distances.shape == (len(queries), k)
    assert ids.dtype == np.int64
    assert distances.dtype == np.float64
    for number, query in enumerate(queries):
        truth = lanes(rows[candidates], query)
        order = np.lexsort((candidates, truth))[:n]
        np.testing.assert_array_equal(ids[number, :n], candidates[order])
        np.testing.assert_array_equal(distances[number, :n], truth[order])
    assert (ids[:, n:] == -1).all()
    assert np.isposinf(distances[:, n:]).all()


def random_rows(n, dim, seed):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


SCALES = {
    "squares overflow float32": 1e37,
    "squares underflow float32": 1e-30,
    "subnormal": 1e-42,
    "all zero": 0,
}
SHAPES = [
    "duplicates",
    "near ties",
    "far from the origin",
    "tiny and huge",
    "not finite",
    "queries equal to rows",
]


def adversarial(name, n=2_100, dim=37):
    """Rows and queries that break careless bounds."""
    rng = np.random.default_rng(5)
    rows, queries = random_rows(n, dim, 1), random_rows(MANY, dim, 2)
    if name in SCALES:
        return rows * np.float32(SCALES[name]), queries * np.float32(SCALES[name])
    if name == "duplicates":
        rows = rows[rng.integers(0, 20, n)]
    elif name == "near ties":  # rows differ in one unit of float32 in a few places
        rows = np.repeat(rows[:1], n, axis=0)
        rows.view(np.uint32)[np.arange(n), rng.integers(0, dim, n)] ^= 1
    elif name == "far from the origin":  # |x|^2 - 2 x.q cancels nearly all digits
        rows += 1_000
        queries += 1_000
    elif name == "tiny and huge":
        rows *= (10.0 ** rng.uniform(-35, 18, (n, 1))).astype(np.float32)
        queries *= (10.0 ** rng.uniform(-35, 18, (MANY, 1))).astype(np.float32)
    elif name == "not finite":
        rows[::3, 4] = np.nan
        rows[1::9, 5] = np.inf
        rows[2::9, 36] = -np.inf
    elif name == "queries equal to rows":
        queries = rows[:MANY].copy()
    return rows, queries


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", [*SHAPES, *SCALES])
def test_adversarial_rows_give_the_float64_answer(kernel, name):
    rows, queries = adversarial(name)
    for n in (FEW, MANY):
        for k in (1, 20):
            found = euclidean.nearest([rows], queries[:n], k, kernel=kernel)
            assert_exact(found, rows, queries[:n], k)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dim", [*range(1, 20), 31, 32, 33, 96, 100, 513, 768])
def test_any_dim_gives_the_float64_answer(kernel, dim):
    rows, queries = random_rows(150, dim, dim), random_rows(MANY, dim, 9)
    for n in (FEW, MANY):
        assert_exact(euclidean.nearest([rows], queries[:n], 9, kernel=kernel), rows, queries[:n], 9)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_queries", [FEW, MANY])
def test_blocks_filters_threads_and_a_large_k_change_nothing_else(kernel, n_queries):
    rows, queries = random_rows(3_000, 12, 1), random_rows(n_queries, 12, 2)
    blocks = [rows[:1], rows[1:1], rows[1:1400], rows[1400:], rows[3000:]]
    for share in (0.5, 0.01, 0.0):
        allowed = np.random.default_rng(4).random(3_000) < share
        for k, threads in ((3, 1), (3, 5), (4_000, 2)):
            found = euclidean.nearest(
                blocks, queries, k, allowed=allowed, kernel=kernel, threads=threads
            )
            assert_exact(found, rows, queries, k, allowed)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_queries", [20, MANY])
def test_a_sample_that_is_not_like_the_rest_misleads_nobody(kernel, n_queries):
    # The k-th distance is guessed from rows 0 to 31, 1024 to 1055, ...: a few of them are far too near.
    rows, queries = random_rows(6_000, 12, 1), random_rows(n_queries, 12, 2)
    rows[:12] = queries[3]
    rows[1024:1030] = queries[7]
    for k in (25, 90):
        found = euclidean.nearest([rows], queries, k, kernel=kernel, threads=2)
        assert_exact(found, rows, queries, k)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_shape_gives_the_float64_answer(data):
    n, dim, n_queries = (data.draw(st.integers(1, high)) for high in (1_500, 70, MANY))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    scale = data.draw(st.sampled_from([1.0, 1e-20, 1e18, 1e-44]))
    rows = random_rows(n, dim, seed)[rng.integers(0, n, n)] * np.float32(scale)
    queries = random_rows(n_queries, dim, seed + 1) * np.float32(scale)
    k, threads = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4))
    kernel = data.draw(st.sampled_from(KERNELS))
    found = euclidean.nearest([rows], queries, k, kernel=kernel, threads=threads)
    assert_exact(found, rows, queries, k)


@pytest.mark.parametrize("blocks", [[], [np.empty((0, 8), np.float32)]])
@pytest.mark.parametrize("n_queries", [0, FEW, MANY])
def test_no_rows_and_no_queries_are_answered(blocks, n_queries):
    queries = random_rows(n_queries, 8, 2)
    assert_exact(euclidean.nearest(blocks, queries, 3), queries[:0], queries, 3)


ROWS = np.zeros((4, 2), np.float32)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InvalidArgument, "k is 0, expected at least 1", {"k": 0}),
        (InvalidArgument, "query 1 is not finite", {"queries": np.float32([[1, 2], [1, np.nan]])}),
        (InvalidArgument, "query 0 is not finite", {"queries": np.array([[1e300, 0]])}),
        (Mismatch, "queries have shape", {"queries": ROWS[0]}),
        (Mismatch, "queries have shape", {"queries": np.zeros((1, 65_537), np.float32)}),
        (Mismatch, "queries are complex64", {"queries": ROWS.astype(np.complex64)}),
        (Mismatch, "queries have dim 3", {"queries": np.zeros((1, 3))}),
        (Mismatch, "block 0 is float16, expected float32", {"blocks": [ROWS.astype("f2")]}),
        (Mismatch, "one flag for each row", {"allowed": np.ones(5, bool)}),
    ],
)
def test_wrong_arguments_are_named(error, message, call):
    arguments = {"blocks": [ROWS], "queries": ROWS, "k": 1, **call}
    with pytest.raises(error, match=message):
        euclidean.nearest(arguments.pop("blocks"), arguments.pop("queries"), **arguments)
