"""Exact nearest rows of bits: every kernel against counting with NumPy, and the scalar twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn import hamming

KERNELS = _native.kernels()


def random_words(n, words, seed):
    return np.random.default_rng(seed).integers(0, 2**64, (n, words), dtype=np.uint64)


def differing(rows, query):
    return np.bitwise_count(rows ^ query).sum(axis=1, dtype=np.int64)


def brute_force(rows, queries, k, allowed=None):
    may = np.arange(len(rows)) if allowed is None else np.flatnonzero(allowed)
    ids = np.full((len(queries), k), -1, np.int64)
    distances = np.full((len(queries), k), np.iinfo(np.int32).max, np.int32)
    for number, query in enumerate(queries):
        counts = differing(rows[may], query)
        order = np.lexsort((may, counts))[:k]
        ids[number, : len(order)] = may[order]
        distances[number, : len(order)] = counts[order]
    return ids, distances


def assert_same(found, expected):
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("words", [*range(1, 21), 33])
def test_any_number_of_words_gives_the_counted_bits(kernel, words):
    rows, queries = random_words(301, words, 1), random_words(33, words, 2)
    for n in (1, 5, 33):
        found = hamming.nearest([rows], queries[:n], 7, kernel=kernel)
        assert_same(found, brute_force(rows, queries[:n], 7))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_queries", [2, 20])
def test_ties_go_to_the_smaller_id_whatever_the_threads(kernel, n_queries):
    rows = random_words(30, 2, 1)[np.random.default_rng(3).integers(0, 30, 20_000)]
    queries = random_words(n_queries, 2, 2)
    expected = brute_force(rows, queries, 50)
    for threads in (1, 2, 5):
        assert_same(hamming.nearest([rows], queries, 50, kernel=kernel, threads=threads), expected)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_queries", [1, 20])
def test_rows_all_alike_are_found_in_order(kernel, n_queries):
    rows = np.zeros((5_000, 16), np.uint64)
    queries = np.full((n_queries, 16), 2**64 - 1, np.uint64)
    ids, distances = hamming.nearest([rows], queries, 4, kernel=kernel)
    assert (ids == [0, 1, 2, 3]).all()
    assert (distances == 1024).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_sample_that_is_not_like_the_rest_misleads_nobody(kernel):
    # The k-th distance is guessed from rows 0 to 31, 1024 to 1055, ...: a few of them are far too near.
    rows, queries = random_words(6_000, 4, 1), random_words(20, 4, 2)
    rows[:12] = queries[3]
    rows[1024:1030] = queries[7]
    for k in (25, 90):
        found = hamming.nearest([rows], queries, k, kernel=kernel, threads=2)
        assert_same(found, brute_force(rows, queries, k))
    alike = np.repeat(queries[:1], 6_000, axis=0)
    alike[np.arange(6_000) % 1024 >= 32] ^= np.uint64(1)
    found = hamming.nearest([alike], queries, 60, kernel=kernel)
    assert_same(found, brute_force(alike, queries, 60))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_queries", [1, 20])
def test_blocks_filters_and_a_large_k_change_nothing_else(kernel, n_queries):
    rows, queries = random_words(3_000, 5, 1), random_words(n_queries, 5, 2)
    blocks = [rows[:1], rows[1:1], rows[1:1400], rows[1400:], rows[3000:]]
    for share in (0.5, 0.01, 0.0):
        allowed = np.random.default_rng(4).random(3_000) < share
        for k in (3, 4_000):
            found = hamming.nearest(blocks, queries, k, allowed=allowed, kernel=kernel)
            assert_same(found, brute_force(rows, queries, k, allowed))
    assert_same(hamming.nearest(blocks, queries, 3_001), brute_force(rows, queries, 3_001))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_shape_and_any_threads_give_the_counted_bits(data):
    n, words, n_queries = (data.draw(st.integers(1, high)) for high in (2_500, 20, 40))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    rows = random_words(n, words, seed) & random_words(n, words, seed + 1)
    rows = rows[rng.integers(0, n, n)]
    queries = random_words(n_queries, words, seed + 2)
    queries[0] = rows[0]
    k = data.draw(st.integers(1, 60))
    kernel = data.draw(st.sampled_from(KERNELS))
    threads = data.draw(st.integers(1, 4))
    found = hamming.nearest([rows], queries, k, kernel=kernel, threads=threads)
    assert_same(found, brute_force(rows, queries, k))


def test_memory_maps_are_searched_as_they_are(tmp_path):
    rows, queries = random_words(500, 16, 1), random_words(3, 16, 2)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert_same(hamming.nearest([mapped], queries, 9), brute_force(rows, queries, 9))


@pytest.mark.parametrize("blocks", [[], [np.empty((0, 16), np.uint64)]])
@pytest.mark.parametrize("n_queries", [0, 1, 30])
def test_no_rows_and_no_queries_are_answered(blocks, n_queries):
    queries = random_words(n_queries, 16, 2)
    assert_same(hamming.nearest(blocks, queries, 3), brute_force(queries[:0], queries, 3))


ROWS = np.zeros((4, 2), np.uint64)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InvalidArgument, "k is 0, expected at least 1", {"k": 0}),
        (InvalidArgument, "threads is 0", {"threads": 0}),
        (InvalidArgument, "no kernel 'abacus', expected one of", {"kernel": "abacus"}),
        (Mismatch, "queries have shape", {"queries": ROWS[0]}),
        (Mismatch, "queries have shape", {"queries": np.zeros((1, 0), np.uint64)}),
        (Mismatch, "queries have shape", {"queries": np.zeros((1, 4_096), np.uint64)}),
        (Mismatch, "queries are int64, expected uint64", {"queries": ROWS.astype(np.int64)}),
        (Mismatch, "queries have dim 3", {"queries": np.zeros((1, 3), np.uint64)}),
        (Mismatch, "block 0 is float32, expected uint64", {"blocks": [np.zeros((4, 2), "f4")]}),
        (Mismatch, "expected C-contiguous", {"blocks": [np.asfortranarray(ROWS)]}),
        (Mismatch, "one flag for each row", {"allowed": np.ones(5, bool)}),
    ],
)
def test_wrong_arguments_are_named(error, message, call):
    arguments = {"blocks": [ROWS], "queries": ROWS, "k": 1, **call}
    with pytest.raises(error, match=message):
        hamming.nearest(arguments.pop("blocks"), arguments.pop("queries"), **arguments)
