"""Exact nearest rows: every way and kernel against brute force in float64 and the scalar twin."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.codes import build_codes, open_codes
from pairdex.knn.cosine import nearest
from pairdex.knn.distance import cosine_distance

KERNELS = _native.kernels()
WAYS = ["floats", "codes"]
SAME = 1e-13  # float64 sums of up to 4,096 terms in different orders agree to this

pytestmark = pytest.mark.filterwarnings("error")


def usable(rows):
    wide = rows.astype(np.float64)
    return np.isfinite(wide).all(axis=1) & wide.any(axis=1)


def assert_exact(found, rows, queries, k, allowed=None):
    """The answer is the brute-force one, up to the order of equal float64 distances."""
    may = usable(rows) if allowed is None else usable(rows) & allowed
    candidates = np.flatnonzero(may)
    n = min(k, len(candidates))
    assert found.ids.shape == found.distances.shape == (len(queries), k)
    assert (found.ids[:, n:] == -1).all()
    assert np.isposinf(found.distances[:, n:]).all()
    for query, ids, distances in zip(
        queries, found.ids[:, :n], found.distances[:, :n], strict=True
    ):
        truth = np.full(len(rows), np.inf)
        if len(candidates):
            truth[candidates] = cosine_distance(query.astype(np.float64), rows[candidates])
        np.testing.assert_allclose(distances, np.sort(truth)[:n], rtol=0, atol=SAME)
        np.testing.assert_allclose(truth[ids], distances, rtol=0, atol=SAME)
        assert len(set(ids.tolist())) == n
        pairs = list(zip(distances.tolist(), ids.tolist(), strict=True))
        assert pairs == sorted(pairs)


def find(way, blocks, queries, k, **options):
    """Search by one of the two ways; the answers must be the same."""
    if way == "floats":
        return nearest(blocks, queries, k, **options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "codes"
        build_codes(blocks, path)
        codes = open_codes(path, rows=sum(map(len, blocks)), dim=queries.shape[1])
        return nearest(blocks, queries, k, codes=codes, **options)


def random_rows(n, dim, seed):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float16)


def adversarial(name, n=2100, dim=37):
    """Rows and queries that break careless bounds."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((n, dim))
    queries = rng.standard_normal((7, dim))
    if name == "duplicates":
        rows = rows[rng.integers(0, 20, n)]
    elif name == "all rows equal":
        rows[:] = rows[0]
    elif name == "near ties":  # rows differ in one unit of float16 in a few places
        rows = np.repeat(rows[:1].astype(np.float16), n, axis=0)
        rows.view(np.uint16)[np.arange(n), rng.integers(0, dim, n)] ^= 1
    elif name == "one huge coordinate":
        rows[:, 3] = 900 + rng.standard_normal(n)
        queries[:, 3] = 900
    elif name == "tiny and huge norms":
        rows *= 10.0 ** rng.uniform(-6, 4, (n, 1))
        queries *= 10.0 ** rng.uniform(-30, 30, (7, 1))
    elif name == "rows without direction":
        rows[::3] = 0
        rows[1::9, 5] = np.inf
        rows[2::9, 6] = np.nan
        rows[4] = -0.0
    elif name == "queries equal to rows":
        queries = rows[:7].astype(np.float16)
    elif name == "opposite":
        rows = -np.abs(rows)
        queries = np.abs(queries)
    return rows.astype(np.float16), queries.astype(np.float32)


ADVERSARIAL = [
    "duplicates",
    "all rows equal",
    "near ties",
    "one huge coordinate",
    "tiny and huge norms",
    "rows without direction",
    "queries equal to rows",
    "opposite",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("k", [1, 10, 30])
def test_adversarial_rows_give_the_float64_answer(way, kernel, name, k):
    rows, queries = adversarial(name)
    assert_exact(find(way, [rows], queries, k, kernel=kernel), rows, queries, k)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dim", [1, 2, 3, 7, 15, 16, 17, 31, 33, 100, 513, 768, 2047, 4096])
def test_any_dim_gives_the_float64_answer(kernel, dim):
    rows, queries = random_rows(150, dim, seed=dim), random_rows(5, dim, seed=9).astype(np.float32)
    assert_exact(nearest([rows], queries, 20, kernel=kernel), rows, queries, 20)


@pytest.mark.parametrize("dim", [1, 2, 3, 17, 66, 67, 129, 130, 131, 200, 513, 768, 1030])
def test_any_dim_gives_the_float64_answer_by_codes(dim, tmp_path):
    rows, queries = random_rows(150, dim, seed=dim), random_rows(45, dim, seed=9).astype(np.float32)
    build_codes([rows], tmp_path / "codes")
    codes = open_codes(tmp_path / "codes", rows=150, dim=dim)
    for kernel in KERNELS:
        assert_exact(nearest([rows], queries, 20, codes=codes, kernel=kernel), rows, queries, 20)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_every_way_and_kernel_gives_the_bits_of_the_scalar_twin(way, kernel, name):
    rows, queries = adversarial(name)
    twin = nearest([rows], queries, 50, kernel="scalar")
    found = find(way, [rows], queries, 50, kernel=kernel)
    np.testing.assert_array_equal(found.ids, twin.ids)
    np.testing.assert_array_equal(found.distances, twin.distances)


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_thousands_of_small_searches_by_codes_give_the_bits_of_the_scalar_twin(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n, dim = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 200))
    k = data.draw(st.integers(1, 60))
    spread = 10.0 ** rng.uniform(-3, 0, dim)
    rows = (rng.standard_normal((n, dim)) * spread + data.draw(st.sampled_from([0, 1, 30]))).astype(
        np.float16
    )
    if data.draw(st.booleans()):  # near-duplicates, with and without a last bit's difference
        rows = rows[rng.integers(0, max(1, n // 10), n)]
        rows.view(np.uint16)[rng.random((n, dim)) < 0.01] ^= 1
    near = rows[rng.integers(0, n, 20)].astype(np.float32)
    far = rng.standard_normal((25, dim)).astype(np.float32)
    queries = np.concatenate([near[near.any(axis=1)], far])
    with tempfile.TemporaryDirectory() as folder:
        build_codes([rows], Path(folder) / "codes")
        codes = open_codes(Path(folder) / "codes", rows=n, dim=dim)
        twin = nearest([rows], queries, k, kernel="scalar")
        for kernel in KERNELS:
            found = nearest([rows], queries, k, codes=codes, kernel=kernel)
            np.testing.assert_array_equal(found.ids, twin.ids)
            np.testing.assert_array_equal(found.distances, twin.distances)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_cutting_into_blocks_and_threads_never_changes_a_result(way, data):
    n = data.draw(st.integers(0, 3000))
    rows = random_rows(n, 19, seed=n)
    rows[data.draw(st.integers(1, 50)) :: 2] = rows[:1]
    queries = random_rows(data.draw(st.integers(1, 30)), 19, seed=3).astype(np.float32)
    k = data.draw(st.integers(1, 40))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    whole = nearest([rows], queries, k, threads=1)
    threads = data.draw(st.integers(1, 5))
    cut = find(way if n else "floats", np.split(rows, cuts), queries, k, threads=threads)
    np.testing.assert_array_equal(whole.ids, cut.ids)
    np.testing.assert_array_equal(whole.distances, cut.distances)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_filter_equals_search_among_the_allowed_rows(way, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rows, queries = (
        random_rows(2500, 24, seed=1),
        random_rows(data.draw(st.sampled_from([3, 40])), 24, seed=2).astype(np.float32),
    )
    allowed = rng.random(2500) < data.draw(st.sampled_from([0.0, 0.001, 0.01, 0.3, 0.99, 1.0]))
    found = find(way, [rows[:1111], rows[1111:]], queries, 10, allowed=allowed)
    assert_exact(found, rows, queries, 10, allowed)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("within", [None, 0.9])
def test_a_filter_gives_many_queries_what_it_gives_few(share, within):
    rows = random_rows(3000, 24, seed=1)
    queries = random_rows(600, 24, seed=2).astype(np.float32)
    allowed = np.random.default_rng(3).random(3000) < share
    many = find("codes", [rows], queries, 3, allowed=allowed, within=within)
    few = find("floats", [rows], queries, 3, allowed=allowed, within=within)
    np.testing.assert_array_equal(many.ids, few.ids)
    np.testing.assert_array_equal(many.distances, few.distances)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_within_a_distance_is_the_whole_answer_cut_there(way, kernel, name):
    """Also at a distance that rows have to the bit, and just below it."""
    rows, queries = adversarial(name, n=700)
    for k in (1, 30):
        whole = nearest([rows], queries, k)
        some = np.unique(whole.distances[np.isfinite(whole.distances)])
        middle = some[len(some) // 2] if len(some) else 1.0
        for within in (0.0, middle, np.nextafter(middle, -1), 1.7, 2.0):
            found = find(way, [rows], queries, k, within=max(within, 0.0), kernel=kernel)
            is_in = whole.distances <= within
            np.testing.assert_array_equal(found.ids, np.where(is_in, whole.ids, -1))
            np.testing.assert_array_equal(found.distances, np.where(is_in, whole.distances, np.inf))


def test_a_search_within_a_distance_looks_closer_at_fewer_rows():
    rows = random_rows(20_000, 512, seed=1)
    rows[::7] = rows[3]
    queries = rows[:40].astype(np.float32)
    found = find("codes", [rows], queries, 1, within=0.06)
    whole = find("codes", [rows], queries, 1)
    np.testing.assert_array_equal(found.ids, whole.ids)
    assert found.report.refined < whole.report.refined


def test_guess_from_a_sample_that_is_too_good_is_made_good():
    rows = random_rows(20_000, 8, seed=1)
    rows[:10] = [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
    ]  # all of the sample's near rows, and half of the 20 that are asked for
    queries = rows[:1].astype(np.float32)
    found = find("codes", [rows], queries, 20)
    assert_exact(found, rows, queries, 20)
    assert found.report.scanned > 2 * len(rows)  # a second pass


@pytest.mark.parametrize("way", WAYS)
def test_equal_distances_come_by_smaller_id_however_many(way):
    rows = np.tile(random_rows(1, 8, seed=1), (20_000, 1))
    found = find(way, [rows], rows[:2].astype(np.float32), 7)
    assert found.ids.tolist() == [list(range(7))] * 2
    assert len(set(found.distances.ravel().tolist())) == 1


def test_copies_of_a_row_get_the_same_bits_wherever_they_stand():
    rows = random_rows(3000, 65, seed=1)
    rows[[5, 1700, 2999]] = rows[5]
    found = nearest([rows], rows[5:6].astype(np.float32), 3)
    assert found.ids.tolist() == [[5, 1700, 2999]]
    assert len(set(found.distances[0].tolist())) == 1


def test_k_larger_than_the_rows_is_padded():
    rows = random_rows(3, 4, seed=1)
    found = nearest([rows], rows.astype(np.float32), 5)
    assert (found.ids[:, 3:] == -1).all()
    assert np.isposinf(found.distances[:, 3:]).all()


def test_no_rows_and_no_queries_are_answered():
    assert nearest([], np.ones((2, 4), np.float32), 3).ids.tolist() == [[-1] * 3] * 2
    empty = np.empty((0, 4), np.float16)
    assert nearest([empty, empty], np.ones((1, 4), np.float32), 1).ids.tolist() == [[-1]]
    assert nearest([empty], np.empty((0, 4), np.float32), 3).ids.shape == (0, 3)


def test_memory_maps_are_searched_in_place(tmp_path):
    rows = random_rows(500, 16, seed=1)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    queries = rows[:3].astype(np.float32)
    assert_exact(nearest([mapped], queries, 4), rows, queries, 4)


ROWS = np.ones((4, 3), np.float16)
QUERY = np.ones((1, 3), np.float32)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": 0}, InvalidArgument, "k is 0, expected at least 1"),
        ({"within": -0.1}, InvalidArgument, "within is -0.1, expected a distance of 0 or more"),
        ({"within": float("nan")}, InvalidArgument, "within is nan"),
        ({"threads": 0}, InvalidArgument, "threads is 0, expected at least 1"),
        ({"kernel": "abacus"}, InvalidArgument, "has no kernel 'abacus', expected one of"),
        (
            {"queries": np.ones((1, 5), np.float32)},
            Mismatch,
            "queries have dim 5, block 0 has dim 3",
        ),
        (
            {"queries": np.ones(3, np.float32)},
            Mismatch,
            r"queries have shape \(3,\), expected \(n, dim\)",
        ),
        ({"queries": np.ones((1, 3), complex)}, Mismatch, "queries are complex128"),
        ({"queries": np.zeros((1, 3), np.float32)}, InvalidArgument, "query 0 is all zero"),
        ({"queries": np.full((1, 3), np.nan)}, InvalidArgument, "query 0 is not finite"),
        ({"queries": np.full((1, 3), 1e300)}, InvalidArgument, "query 0 is not finite"),
        ({"blocks": [ROWS.astype(np.float32)]}, Mismatch, "block 0 is float32, expected float16"),
        ({"blocks": [ROWS, ROWS.T]}, Mismatch, "block 1 has shape"),
        ({"allowed": np.ones(3, bool)}, Mismatch, r"expected bool of shape \(4,\)"),
        ({"allowed": np.ones(4, np.int8)}, Mismatch, "allowed is int8"),
    ],
)
def test_wrong_arguments_are_named(change, error, message):
    arguments = {"blocks": [ROWS], "queries": QUERY, "k": 1} | change
    with pytest.raises(error, match=message):
        nearest(**arguments)
