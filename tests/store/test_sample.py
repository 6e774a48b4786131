"""Sampling: exactly n rows, each equally likely, and the same rows for the same seed."""

import numpy as np
import pytest

from pairdex.errors import InvalidArgument
from pairdex.store import sample
from pairdex.store.sample import draw


@pytest.mark.parametrize("n", [1, 2, 500, 999, 1000])
def test_exactly_n_of_the_kept_rows_are_drawn(n):
    keep = np.arange(3000) % 3 == 1
    drawn = draw(keep, n, seed=7)
    assert int(drawn.sum()) == n
    assert not (drawn & ~keep).any()


def test_every_row_is_equally_likely():
    keep = np.ones(50, np.bool_)
    keep[10:20] = False
    times = np.sum([draw(keep, 8, seed=seed) for seed in range(4000)], axis=0)
    assert not times[10:20].any()
    expected = 4000 * 8 / 40
    chi_square = ((times[keep] - expected) ** 2 / expected).sum()
    assert chi_square < 73  # of 39 degrees of freedom: the 99.9th percentile


def test_a_smaller_sample_is_a_subset_of_a_larger_one_with_the_same_seed():
    keep = np.ones(2000, np.bool_)
    large, small = draw(keep, 700, seed=3), draw(keep, 50, seed=3)
    assert not (small & ~large).any()


def test_another_seed_draws_other_rows():
    keep = np.ones(2000, np.bool_)
    assert (draw(keep, 100, seed=3) != draw(keep, 100, seed=4)).any()


def test_the_rows_of_a_seed_never_change():
    assert np.flatnonzero(draw(np.ones(1000, np.bool_), 5, seed=1)).tolist() == [
        93,
        323,
        458,
        622,
        828,
    ]


def test_the_block_size_changes_nothing(monkeypatch):
    keep = np.random.default_rng(1).random(5000) < 0.6
    whole = draw(keep, 1234)
    monkeypatch.setattr(sample, "_BLOCK_ROWS", 77)
    assert (draw(keep, 1234) == whole).all()


def test_equal_high_bits_are_decided_by_the_whole_key(monkeypatch):
    keep = np.ones(5000, np.bool_)
    whole = draw(keep, 1234)
    monkeypatch.setattr(sample, "_HIGH_BITS", 1)
    assert (draw(keep, 1234) == whole).all()


@pytest.mark.parametrize(
    ("n", "seed", "message"),
    [
        (0, 1, "the sample is 0 rows, expected at least 1 and at most 4, the rows to draw from"),
        (5, 1, "the sample is 5 rows, expected at least 1 and at most 4, the rows to draw from"),
        (2, -1, "the seed is -1, expected 0 or more"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused(n, seed, message):
    with pytest.raises(InvalidArgument, match=message):
        draw(np.arange(8) % 2 == 0, n, seed=seed)
