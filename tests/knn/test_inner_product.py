"""The largest inner products: every way and kernel against brute force in float64 and the scalar twin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.codes import build_codes, norm_above, open_codes
from pairdex.knn.cosine import nearest
from pairdex.knn.distance import cosine_distance, distance

KERNELS = _native.kernels()
WAYS = ["floats", "codes"]
SAME = 1e-13  # of the largest |q| |x|: float64 sums in different orders agree to this


def usable(rows):
    wide = rows.astype(np.float64)
    return np.isfinite(wide).all(axis=1) & wide.any(axis=1)


def assert_exact(found, rows, queries, k, allowed=None):
    """The answer is the brute-force one, up to the order of equal float64 products."""
    candidates = np.flatnonzero(usable(rows) if allowed is None else usable(rows) & allowed)
    n = min(k, len(candidates))
    assert found.ids.shape == found.distances.shape == (len(queries), k)
    assert (found.ids[:, n:] == -1).all()
    assert np.isposinf(found.distances[:, n:]).all()
    norms = np.linalg.norm(rows[candidates].astype(np.float64), axis=1)
    for query, ids, distances in zip(
        queries, found.ids[:, :n], found.distances[:, :n], strict=True
    ):
        truth = np.full(len(rows), np.inf)
        truth[candidates] = -(rows[candidates].astype(np.float64) @ query.astype(np.float64))
        near = SAME * np.linalg.norm(query.astype(np.float64)) * norms.max(initial=0.0)
        np.testing.assert_allclose(distances, np.sort(truth)[:n], rtol=0, atol=near)
        np.testing.assert_allclose(truth[ids], distances, rtol=0, atol=near)
        assert len(set(ids.tolist())) == n
        pairs = list(zip(distances.tolist(), ids.tolist(), strict=True))
        assert pairs == sorted(pairs)


def codes_of(blocks, path, dim):
    build_codes(blocks, path, metric="ip")
    return open_codes(path, rows=sum(map(len, blocks)), dim=dim, metric="ip")


def find(way, blocks, queries, k, folder, **options):
    codes = codes_of(blocks, folder / "codes", queries.shape[1]) if way == "codes" else None
    return nearest(blocks, queries, k, metric="ip", codes=codes, **options)


def keys(n, dim, seed):
    """Rows with a common direction and lengths that differ, as an attention layer's keys."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, dim)) + 2 * rng.standard_normal(dim)
    return (rows * rng.lognormal(0, 0.4, (n, 1))).astype(np.float16)


def adversarial(name, n=2100, dim=37):
    """Rows and queries that break careless bounds."""
    rng = np.random.default_rng(5)
    rows, queries = rng.standard_normal((n, dim)), rng.standard_normal((7, dim))
    if name == "duplicates":
        rows = rows[rng.integers(0, 20, n)]
    elif name == "near ties":  # rows differ in one unit of float16 in a few places
        rows = np.repeat(rows[:1].astype(np.float16), n, axis=0)
        rows.view(np.uint16)[np.arange(n), rng.integers(0, dim, n)] ^= 1
    elif name == "lengths of many sizes":
        rows = rows * 10.0 ** rng.uniform(-4, 3, (n, 1))
    elif name == "one row dwarfs all others":
        rows[7] *= 15_000
    elif name == "every product is negative":
        rows = np.abs(rows)
        queries = -np.abs(queries)
    elif name == "rows at right angles to the query":
        rows[:, 0] = 0
        queries[:, 1:] = 0
    elif name == "tiny and huge queries":
        queries = queries * np.array([[1e-30], [1e30], [1e-10], [1], [1e10], [1e-20], [1e20]])
    elif name == "rows without direction":
        rows[::3] = 0
        rows[1::9] = np.inf
        rows[2::9, 5] = np.nan
    return rows.astype(np.float16), queries.astype(np.float32)


CASES = [
    "random",
    "duplicates",
    "near ties",
    "lengths of many sizes",
    "one row dwarfs all others",
    "every product is negative",
    "rows at right angles to the query",
    "tiny and huge queries",
    "rows without direction",
]


@pytest.mark.parametrize("k", [1, 30])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_adversarial_rows_give_the_float64_answer(way, name, k, tmp_path):
    rows, queries = adversarial(name)
    assert_exact(find(way, [rows], queries, k, tmp_path), rows, queries, k)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_and_kernel_gives_the_bits_of_the_scalar_twin(way, kernel, name, tmp_path):
    rows, queries = adversarial(name)
    expected = nearest([rows], queries, 25, metric="ip", kernel="scalar")
    found = find(way, [rows], queries, 25, tmp_path, kernel=kernel)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.parametrize("dim", [1, 2, 3, 17, 130, 131, 515])
@pytest.mark.parametrize("way", WAYS)
def test_any_dim_gives_the_float64_answer(way, dim, tmp_path):
    rows, queries = keys(500, dim, 1), keys(5, dim, 2).astype(np.float32)
    assert_exact(find(way, [rows], queries, 7, tmp_path), rows, queries, 7)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_cutting_into_blocks_filters_and_threads_never_changes_a_result(data, tmp_path_factory):
    rows, queries = keys(300, 40, 3), keys(4, 40, 4).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, 300), max_size=4)))
    blocks = [np.ascontiguousarray(block) for block in np.split(rows, cuts)]
    share = data.draw(st.sampled_from([0.02, 0.3, 1.0]))
    allowed = np.random.default_rng(data.draw(st.integers(0, 99))).random(300) < share
    k, threads = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
    folder = tmp_path_factory.mktemp("codes")
    options = {"allowed": allowed, "threads": threads}
    for way in WAYS:
        found = find(way, blocks, queries, k, folder, **options)
        assert_exact(found, rows, queries, k, allowed)


def test_a_guess_from_a_sample_that_misleads_is_made_good(tmp_path):
    rows = keys(40_000, 16, 5)
    rows[: 32 * 8] *= 3  # the panels of a sample hold long rows only at its first place
    queries = keys(3, 16, 6).astype(np.float32)
    assert_exact(find("codes", [rows], queries, 100, tmp_path), rows, queries, 100)


def test_most_rows_are_ruled_out_by_their_codes(tmp_path):
    rows, queries = keys(20_000, 128, 7), keys(20, 128, 8).astype(np.float32)
    report = find("codes", [rows], queries, 30, tmp_path).report
    assert report.certified
    assert report.exact
    assert report.rechecked < 0.02 * len(rows) * len(queries)


def test_the_longest_row_may_beat_the_one_of_the_same_direction():
    rows = np.array([[1, 0], [5, 5], [0, 2]], np.float16)
    queries = np.array([[1, 0]], np.float32)
    assert nearest([rows], queries, 3).ids.tolist() == [[0, 1, 2]]
    found = nearest([rows], queries, 3, metric="ip")
    assert found.ids.tolist() == [[1, 0, 2]]
    assert found.distances.tolist() == [[-5.0, -1.0, 0.0]]


def test_unit_rows_are_found_in_the_order_of_their_cosines(tmp_path):
    rows = keys(500, 24, 9)
    rows[:] = 0
    rows[np.arange(500), np.arange(500) % 24] = 1  # exactly unit rows
    queries = keys(3, 24, 10).astype(np.float32)
    by_cosine = nearest([rows], queries, 60)
    assert nearest([rows], queries, 60, metric="ip").ids.tolist() == by_cosine.ids.tolist()


@given(st.floats(2.0**-14, 2.0**10), st.integers(1, 50))
def test_the_norm_above_is_the_next_power_of_two_and_above_every_norm(size, seed):
    rows = (size * keys(40, 9, seed)).astype(np.float16)
    largest = np.linalg.norm(rows.astype(np.float64), axis=1).max()
    above = norm_above([rows])
    assert largest <= above <= 2 * 1.01 * largest
    assert np.log2(above) == round(np.log2(above))


def test_rows_without_direction_have_no_part_in_the_norm():
    rows = np.array([[3, 4], [np.inf, 0], [np.nan, 1], [0, 0]], np.float16)
    assert norm_above([rows]) == 8
    assert norm_above([rows[1:]]) == 1


def test_codes_state_their_norm_and_serve_no_other_metric(tmp_path):
    rows, path = keys(100, 8, 11), tmp_path / "codes"
    codes = codes_of([rows], path, 8)
    assert codes.metric == "ip"
    assert codes.row_norm == norm_above([rows])
    assert b'"row_norm": ' in path.read_bytes()[:4096]
    build_codes([rows], tmp_path / "cosine")
    assert b"row_norm" not in (tmp_path / "cosine").read_bytes()[:4096]
    with pytest.raises(Mismatch, match="made for another metric than cosine"):
        open_codes(path, rows=100, dim=8, metric="cosine")
    with pytest.raises(Mismatch, match="the codes are for the metric ip, the search is by cosine"):
        nearest([rows], rows[:2].astype(np.float32), 3, codes=codes)
    of_cosines = replace(codes, row_norm=0.0)
    with pytest.raises(Mismatch, match="the codes are for the metric cosine"):
        nearest([rows], rows[:2].astype(np.float32), 3, metric="ip", codes=of_cosines)


def test_a_distance_limit_is_of_cosines():
    rows = keys(10, 4, 12)
    with pytest.raises(InvalidArgument, match="the metric is ip"):
        nearest([rows], rows[:1].astype(np.float32), 3, metric="ip", within=0.5)


def test_the_reference_is_one_minus_cos_or_the_negative_product():
    a, b = np.array([1.0, 2.0]), np.array([[3.0, -1.0], [-2.0, 1.0]])
    assert distance("cosine", a, b).tolist() == cosine_distance(a, b).tolist()
    assert distance("ip", a, b).tolist() == [-1.0, 0.0]
    assert not np.signbit(distance("ip", a, b)[1])
