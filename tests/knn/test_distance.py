"""The float64 reference measure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairdex.knn.distance import cosine_distance, normalise


def test_right_angle_has_distance_one_and_opposite_two():
    assert cosine_distance([1, 0], [[5, 0], [0, 2], [-1, 0]]).tolist() == [0.0, 1.0, 2.0]


def test_length_does_not_matter_even_at_the_ends_of_float64():
    assert cosine_distance([1e-300, 1e-300], [1e300, 1e300]) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_vector_without_direction_is_refused(bad):
    with pytest.raises(ValueError, match="all zero or not finite, so it has no direction"):
        normalise([[1.0, 0.0], bad])


@given(st.lists(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6), min_size=1, max_size=9))
def test_distance_to_itself_is_zero_and_never_negative(values):
    assert 0.0 <= cosine_distance(values, values) <= 1e-15


def test_normalised_rows_have_unit_length():
    rows = np.random.default_rng(1).standard_normal((20, 33))
    np.testing.assert_allclose(np.linalg.norm(normalise(rows), axis=1), 1.0, rtol=1e-15)
