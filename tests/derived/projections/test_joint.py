"""Projections that are fitted to images and texts: texts find rows too, and images find no fewer."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.derived.projections.ceiling import recall_ceilings
from pairdex.derived.projections.files import open_projection
from pairdex.derived.projections.models import read_model
from pairdex.errors import InvalidArgument
from pairdex.store.store import Store

DIM, ROWS = 64, 1_500


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made(rows, seed):
    """Images around a mean, and texts far from them that depend on other directions of the same content."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(7)
    mean, gap = world.standard_normal(DIM), world.standard_normal(DIM)
    spread = (1 + np.arange(DIM)) ** -0.5
    content = rng.standard_normal((rows, DIM)) * spread
    asked = content * spread[::-1] + 0.1 * rng.standard_normal((rows, DIM))
    images = unit(mean * 0.15 + content)
    texts = unit(gap + 0.5 * asked)
    return images.astype(np.float16), texts.astype(np.float16)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    root = tmp_path_factory.mktemp("joint")
    images, texts = made(ROWS, 1)
    (root / "parts").mkdir()
    np.save(root / "parts/img_emb_0.npy", images)
    np.save(root / "parts/text_emb_0.npy", texts)
    pairdex.build(root / "parts", root / "c")
    return root / "c"


def recall(collection, name, method, queries):
    pairdex.project(collection, name, method=method)
    store = Store(collection)
    opened = open_projection(store, name)
    assert opened.record.method == method
    return recall_ceilings(store, opened, queries)[0].recall[10]


@pytest.mark.parametrize(("name", "other"), [("pca16", "pca"), ("hamming", "rotations")])
def test_texts_find_more_and_images_no_fewer(collection, name, other):
    images, texts = (rows.astype(np.float32) for rows in made(150, 2))
    before = [recall(collection, name, other, rows) for rows in (images, texts)]
    now = [recall(collection, name, "joint", rows) for rows in (images, texts)]
    assert now[0] > before[0] - 0.03
    assert now[1] > before[1] + 0.1


def test_rows_are_coordinates_and_a_residual(collection):
    pairdex.project(collection, "pca16", method="joint")
    model, fit = read_model(collection / "projections/pca16/model.h5")
    assert (model.dim, model.width, fit.rows) == (16, 16, ROWS)
    rows = pairdex.open(collection).vectors("image")[:50].astype(np.float64)
    centred = unit(rows) - model.mean
    inside = centred @ model.components.T
    points = model.apply(rows)
    np.testing.assert_allclose(points[:, :15], inside, atol=1e-5)
    left = np.linalg.norm(centred - inside @ model.components, axis=1)
    np.testing.assert_allclose(points[:, 15], left, atol=1e-4)
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(15), atol=1e-9)
    asked = model.apply_to_queries(rows)
    np.testing.assert_array_equal(asked[:, :15], points[:, :15])
    np.testing.assert_allclose(asked[:, 15], model.query_share * points[:, 15], rtol=1e-5)


def test_queries_are_told_apart_and_projected_into_the_file_as_they_are_searched(
    collection, tmp_path
):
    images, texts = (rows[:20].astype(np.float32) for rows in made(20, 3))
    both = np.concatenate([images, texts])
    pairdex.project(
        collection, "pca16", method="joint", queries=both, out=tmp_path / "projected.h5"
    )
    model, _ = read_model(collection / "projections/pca16/model.h5")
    assert model.gap.is_beyond(unit(both)).tolist() == [False] * 20 + [True] * 20
    with h5py.File(tmp_path / "projected.h5") as file:
        points = file["pca16"][()]
    np.testing.assert_allclose(points[20:], unit(texts) @ model.text_map.T, rtol=1e-3, atol=1e-3)
    c = pairdex.open(collection)
    by_vectors, by_points = (c.nearest(one, 5, on="pca16") for one in (both, points))
    assert by_vectors.ids.tolist() == by_points.ids.tolist()


def test_a_rows_own_sketch_is_that_of_the_row_as_a_query(collection):
    pairdex.project(collection, "hamming", method="joint")
    opened = open_projection(Store(collection), "hamming")
    vectors = pairdex.open(collection).vectors("image")[:30]
    assert (opened.apply(vectors) == opened.blocks[0][:30]).all()
    text = made(3, 4)[1]
    bits = np.unpackbits(opened.apply(text).view(np.uint8), axis=1, bitorder="little")
    lead = np.rint(4096 * unit(text.astype(np.float64))) @ opened.model.rows.directions.T
    assert (bits == (lead > 0)).mean() > 0.999  # lengths are rounded to float32 first


def test_the_same_model_is_kept_and_makes_the_same_bytes(collection, tmp_path):
    for name in ("pca16", "hamming"):
        path = collection / "projections" / name / "model.h5"
        pairdex.project(collection, name, method="joint")
        before = path.read_bytes()
        assert pairdex.project(collection, name).projected == 0
        pairdex.project(collection, name, method="pca" if name == "pca16" else "binwalk")
        pairdex.project(collection, name, method="joint")
        assert path.read_bytes() == before


def test_a_gold_standard_counts_no_near_duplicates_where_queries_have_other_coordinates(
    collection, tmp_path
):
    pairdex.project(collection, "pca16", method="joint")
    queries = made(5, 5)[0].astype(np.float32)
    report = pairdex.gold(collection, queries, tmp_path / "gold.h5", k=5, on="pca16")
    assert report.near_duplicates is None


def test_what_a_projection_cannot_be_made_by_is_refused(collection, make_parts, build, tmp_path):
    with pytest.raises(
        InvalidArgument, match="pca16 has no method rotations, expected pca or joint"
    ):
        pairdex.project(collection, "pca16", method="rotations")
    with pytest.raises(InvalidArgument, match="hamming has no method pca"):
        pairdex.project(collection, "hamming", method="pca")
    with pytest.raises(InvalidArgument, match="expected pca2 to pca65"):
        pairdex.project(collection, "pca1", method="joint")
    build(make_parts(40, text=False), tmp_path / "images")
    with pytest.raises(InvalidArgument, match="has no text vectors, which the method joint"):
        pairdex.project(tmp_path / "images", "pca4", method="joint")
    assert pairdex.project(tmp_path / "images", "pca4", method="pca").method == "pca"


def test_real_texts_find_half_of_their_images(real_data, tmp_path):
    images = np.load(real_data / "clip_b32_images.npy")[::3]
    texts = np.load(real_data / "clip_b32_texts.npy")
    np.random.default_rng(0).shuffle(texts)
    (tmp_path / "parts").mkdir()
    np.save(tmp_path / "parts/img_emb_0.npy", images)
    np.save(tmp_path / "parts/text_emb_0.npy", np.resize(texts[300:], images.shape))
    pairdex.build(tmp_path / "parts", tmp_path / "c")
    asked = texts[:300].astype(np.float32)
    assert recall(tmp_path / "c", "pca96", "joint", asked) > 0.5
    assert recall(tmp_path / "c", "hamming", "joint", asked) > 0.38
