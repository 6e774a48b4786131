"""PCA: the textbook components from one pass over blocks, with fixed signs."""

import numpy as np
import pytest

from pairdex.derived.projections.pca import fit_pca
from pairdex.derived.projections.rows import unit_rows
from pairdex.errors import InvalidArgument


def cone(rows, dim, seed=1):
    """Vectors similar to CLIP's: far from the origin, with a different variance in each direction."""
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal((rows, dim)) * np.geomspace(1, 0.05, dim)
    return (spread + 3 * np.eye(dim)[0] + 1).astype(np.float16)


def blocks(vectors, size):
    return [unit_rows(vectors[a : a + size]) for a in range(0, len(vectors), size)]


def textbook(vectors, dim):
    rows = vectors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    values, columns = np.linalg.eigh(np.cov(rows.T))
    return rows, values[::-1][:dim], columns.T[::-1][:dim]


def test_components_and_variances_match_the_textbook():
    vectors = cone(5_000, 24)
    rows, values, components = textbook(vectors, 6)
    pca = fit_pca(blocks(vectors, 700), 6)
    np.testing.assert_allclose(pca.mean, rows.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(pca.variances, values, rtol=1e-5)
    np.testing.assert_allclose(np.abs(np.sum(pca.components * components, axis=1)), 1, atol=1e-8)
    total = np.trace(np.cov(rows.T))
    assert pca.explained_variance == pytest.approx(values.sum() / total, rel=1e-6)


def test_projected_rows_have_mean_zero_and_the_variances_of_the_components():
    vectors = cone(3_000, 16)
    pca = fit_pca(blocks(vectors, 1_000), 4)
    projected = pca.apply(vectors)
    assert projected.dtype == np.float32
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(projected.var(axis=0, ddof=1), pca.variances, rtol=1e-4)


def test_all_components_keep_every_distance():
    vectors = cone(200, 8)
    rows, _, _ = textbook(vectors, 8)
    projected = fit_pca(blocks(vectors, 64), 8).apply(vectors)
    expected = np.sum((rows[:50, None] - rows[None, 50:]) ** 2, axis=2)
    got = np.sum((projected[:50, None] - projected[None, 50:]) ** 2, axis=2)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_entry_of_largest_magnitude_of_each_component_is_positive():
    components = fit_pca(blocks(cone(1_000, 12), 100), 12).components
    assert (components.max(axis=1) == np.abs(components).max(axis=1)).all()


@pytest.mark.parametrize("size", [1, 37, 5_000])
def test_the_block_size_changes_only_rounding(size):
    vectors = cone(600, 10)
    one, other = (fit_pca(blocks(vectors, s), 3) for s in (600, size))
    np.testing.assert_allclose(one.components, other.components, atol=1e-5)
    np.testing.assert_allclose(one.variances, other.variances, rtol=1e-5)


def test_the_length_of_a_vector_does_not_matter():
    vectors = cone(300, 8)
    pca = fit_pca(blocks(vectors, 100), 3)
    np.testing.assert_array_equal(pca.apply(vectors), pca.apply(vectors * np.float16(2)))


def test_small_variance_on_a_far_mean_is_not_lost_to_cancellation():
    rng = np.random.default_rng(5)
    vectors = np.full((4_000, 8), 1.0) + rng.standard_normal((4_000, 8)) * 3e-3
    _, values, _ = textbook(vectors, 3)
    np.testing.assert_allclose(fit_pca(blocks(vectors, 500), 3).variances, values, rtol=1e-3)


@pytest.mark.parametrize("dim", [0, 9])
def test_an_impossible_number_of_components_is_refused(dim):
    with pytest.raises(
        InvalidArgument, match=f"PCA of {dim} components .* of 8 dimensions, expected pca1 to pca8"
    ):
        fit_pca(blocks(cone(50, 8), 50), dim)


def test_too_few_rows_are_refused():
    with pytest.raises(InvalidArgument, match="4 components needs at least 5 rows, got 4"):
        fit_pca(blocks(cone(4, 8), 4), 4)


def test_rows_that_vary_in_too_few_directions_are_refused():
    same = np.tile(cone(1, 8), (20, 1))
    with pytest.raises(InvalidArgument, match="20 rows vary in only 0 directions, too few for 1"):
        fit_pca(blocks(same, 7), 1)
    flat = np.zeros((50, 8), np.float16)
    flat[:, :2] = cone(50, 2)
    with pytest.raises(InvalidArgument, match="vary in only 2 directions"):
        fit_pca(blocks(flat, 7), 3)


def test_real_vectors_keep_their_known_share_of_variance(real_data):
    vectors = np.load(real_data / "clip_b32_images.npy")
    pca = fit_pca(blocks(vectors, 4_096), 96)
    _, values, components = textbook(vectors, 96)
    np.testing.assert_allclose(pca.variances, values, rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(pca.components * components, axis=1)), 1, atol=1e-8)
