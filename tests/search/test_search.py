"""Searching: what is asked becomes a vector, and the nearest rows that qualify are found."""

import io

import numpy as np
import pytest
from PIL import Image

import pairdex
from pairdex import search
from pairdex.errors import InvalidArgument, InvalidPredicate, Mismatch
from pairdex.knn.distance import cosine_distance, normalise
from pairdex.search import MAX_K, UNLIKE_WEIGHT, Query, describe, nearest, query_vector
from pairdex.store.store import Store

TEXTS = {"car": [3, 0, 0, 0, 0, 0, 0, 0], "boat": [0, 0, 2, 0, 0, 0, 0, 0]}


class Words:
    """An encoder of two words and of pictures by their size."""

    def encode_texts(self, texts):
        return np.array([TEXTS[text] for text in texts], np.float32)

    def encode_images(self, images):
        return np.array([[*image.size, 0, 0, 0, 0, 0, 0] for image in images], np.float32)


@pytest.fixture
def store(collection):
    return Store(collection)


def brute_force(store, query, k, on="image", allowed=None):
    """Ids by float64 distance, then by id."""
    distances = cosine_distance(query, store.vectors(on)[:])
    if allowed is not None:
        distances[~allowed] = np.inf
    return np.lexsort([np.arange(len(distances)), distances])[:k], distances


def with_rows(write_part, build, tmp_path, image, text=None):
    """A collection of the given vectors."""
    columns = {"n": list(range(len(image)))}
    write_part(tmp_path / "parts", 0, np.asarray(image, np.float16), text, columns)
    build(tmp_path / "parts", tmp_path / "c")
    return Store(tmp_path / "c")


@pytest.mark.parametrize("on", ["image", "text"])
def test_the_nearest_are_those_of_brute_force_over_all_parts(store, on):
    queries = np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)
    found = nearest(store, queries, 7, on=on)
    for query, ids, distances in zip(queries, found.ids, found.distances, strict=True):
        expected, measured = brute_force(store, query, 7, on)
        assert ids.tolist() == expected.tolist()
        np.testing.assert_allclose(distances, measured[expected], rtol=0, atol=1e-13)


def test_the_nearest_of_real_vectors_are_those_of_brute_force(
    real_data, write_part, build, tmp_path
):
    images = np.load(real_data / "clip_b32_images.npy", mmap_mode="r")[:3_000]
    texts = np.load(real_data / "clip_b32_texts.npy")[:20].astype(np.float32)
    store = with_rows(write_part, build, tmp_path, images)
    found = nearest(store, texts, 10)
    for query, ids, distances in zip(texts, found.ids, found.distances, strict=True):
        expected, measured = brute_force(store, query, 10)
        np.testing.assert_allclose(distances, measured[expected], rtol=0, atol=1e-13)
        np.testing.assert_allclose(measured[ids], distances, rtol=0, atol=1e-13)


@pytest.mark.parametrize("passing", [0, 1, 3, 5, 6, 20])
def test_a_filter_gives_exactly_k_rows_when_k_pass(store, passing):
    query = np.ones((1, 8), np.float32)
    found = nearest(store, query, 5, where=f"id % 3 = 0 AND id < {3 * passing}")
    allowed = np.isin(np.arange(60), 3 * np.arange(passing))
    expected, _ = brute_force(store, query[0], min(5, passing), allowed=allowed)
    assert found.ids[0, : min(5, passing)].tolist() == expected.tolist()
    assert found.ids[0, passing:].tolist() == [-1] * max(0, 5 - passing)


def like_ids(store, like, k, **how):
    return pairdex.open(store.path).search(like=like, k=k, **how)["id"].to_pylist()


def test_like_finds_others_first_the_nearest_to_the_row(store):
    expected, _ = brute_force(store, store.vectors("image")[33], 6)
    assert expected[0] == 33
    assert like_ids(store, 33, 5) == expected[1:].tolist()


@pytest.mark.parametrize("like", [0, 2, 5, 17, 39])
def test_like_leaves_out_itself_also_among_exact_duplicates(write_part, build, tmp_path, like):
    store = with_rows(write_part, build, tmp_path, np.ones((40, 8)))
    assert like_ids(store, like, 5) == [n for n in range(40) if n != like][:5]
    assert like_ids(store, like, 40) == [n for n in range(40) if n != like]


def test_like_with_a_filter_that_the_row_itself_fails_finds_k_all_the_same(store):
    found = like_ids(store, 33, 5, where="id <> 33 AND id < 40")
    assert len(found) == 5
    assert 33 not in found


def test_like_takes_the_rows_vector_of_the_kind_that_is_searched(store):
    for on in ("image", "text"):
        expected = normalise(store.vectors(on)[12]).astype(np.float32)
        np.testing.assert_array_equal(query_vector(store, Query(like=12), None, on), expected)


def test_a_text_is_encoded_and_made_of_unit_length(store):
    vector = query_vector(store, Query(text="car"), Words(), "image")
    assert vector.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert vector.dtype == np.float32


def png(width, height):
    stream = io.BytesIO()
    Image.new("RGB", (width, height)).save(stream, "png")
    return stream.getvalue()


def test_a_picture_may_be_a_file_bytes_or_opened(store, tmp_path):
    (tmp_path / "picture.png").write_bytes(png(30, 40))
    opened = Image.new("RGB", (30, 40))
    for picture in (tmp_path / "picture.png", str(tmp_path / "picture.png"), png(30, 40), opened):
        vector = query_vector(store, Query(image=picture), Words(), "image")
        np.testing.assert_allclose(vector, [0.6, 0.8, 0, 0, 0, 0, 0, 0], rtol=1e-6)


def test_unlike_takes_half_of_the_unwanted_direction_away(store):
    vector = query_vector(store, Query(text="car", unlike="boat"), Words(), "image")
    length = np.hypot(1, UNLIKE_WEIGHT)
    np.testing.assert_allclose(vector[[0, 2]], [1 / length, -UNLIKE_WEIGHT / length], rtol=1e-6)
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_unlike_goes_with_every_kind_of_query(store):
    for query in (Query(like=3, unlike="boat"), Query(vector=np.ones(8), unlike="boat")):
        plain = Query(like=query.like, vector=query.vector)
        with_it = query_vector(store, query, Words(), "image")
        without = query_vector(store, plain, None, "image")
        assert with_it[2] < without[2]


def test_a_query_knows_whether_it_needs_a_model():
    assert not Query(like=3).needs_model
    assert not Query(vector=np.ones(8)).needs_model
    assert Query(text="a").needs_model
    assert Query(image="a.png").needs_model
    assert Query(like=3, unlike="b").needs_model


@pytest.mark.parametrize(
    ("given", "got", "field"),
    [
        ({}, "none of them", "text"),
        ({"unlike": "a"}, "none of them", "text"),
        ({"text": "a", "like": 0}, "text and like", "like"),
        ({"image": "a", "vector": np.ones(8)}, "image and vector", "vector"),
    ],
)
def test_a_query_is_exactly_one_thing(given, got, field):
    with pytest.raises(InvalidArgument, match=f"takes exactly one of .*, got {got}$") as caught:
        Query(**given)
    assert caught.value.field == field


@pytest.mark.parametrize("like", [60, -1])
def test_like_of_an_id_out_of_range_is_told(store, like):
    with pytest.raises(InvalidArgument, match=f"id {like} is out of range: .* 0 to 59"):
        query_vector(store, Query(like=like), None, "image")


@pytest.mark.parametrize("shape", [(7,), (9,), (1, 8), ()])
def test_a_vector_of_another_shape_is_told(store, shape):
    with pytest.raises(Mismatch, match=r"the query vector has shape .*, expected \(8,\)"):
        query_vector(store, Query(vector=np.ones(shape)), None, "image")


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_a_vector_without_a_direction_is_told(store, value):
    with pytest.raises(InvalidArgument, match="the query vector is zero or not finite"):
        query_vector(store, Query(vector=np.full(8, value)), None, "image")
    with pytest.raises(InvalidArgument, match="query 1 is"):
        nearest(store, np.stack([np.ones(8), np.full(8, value)]), 3)


@pytest.mark.parametrize("shape", [(8,), (2, 7), (1, 1, 8), (0,)])
def test_query_vectors_of_another_shape_are_told(store, shape):
    with pytest.raises(Mismatch, match=r"the query vectors have shape .*, expected \(n, 8\)"):
        nearest(store, np.ones(shape), 3)


@pytest.mark.parametrize("k", [0, -1, MAX_K + 1])
def test_a_k_out_of_range_is_told(store, k):
    with pytest.raises(InvalidArgument, match=f"k is {k:,}, expected 1 to 1,000,000") as caught:
        nearest(store, np.ones((1, 8)), k)
    assert caught.value.field == "k"


def test_more_neighbours_than_fit_into_memory_are_refused(store):
    queries = np.ones((101, 8), np.float32)
    with pytest.raises(
        InvalidArgument,
        match="101 queries with a k of 1,000,000 have 101,000,000 neighbours, expected at most 100,000,000",
    ):
        nearest(store, queries, MAX_K)


def test_a_k_larger_than_the_collection_gives_all_rows_and_is_padded(store):
    found = nearest(store, np.ones((2, 8)), 100)
    assert found.ids.shape == found.distances.shape == (2, 100)
    for ids, distances in zip(found.ids, found.distances, strict=True):
        assert sorted(ids[:60].tolist()) == list(range(60))
        assert (ids[60:] == -1).all()
        assert np.isposinf(distances[60:]).all()


def test_vectors_that_are_not_there_are_told(make_parts, build, tmp_path):
    build(make_parts(3, text=False), tmp_path / "c")
    store = Store(tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has no 'text' vectors: it has image"):
        query_vector(store, Query(like=0), None, "text")
    with pytest.raises(InvalidArgument, match="has no 'text' vectors: it has image"):
        nearest(store, np.ones((1, 8)), 1, on="text")


def test_no_queries_have_no_neighbours(store):
    assert nearest(store, np.empty((0, 8)), 3).ids.shape == (0, 3)


def test_an_empty_collection_has_no_neighbours(make_parts, build, tmp_path):
    build(make_parts(3), tmp_path / "c", where="false")
    store = Store(tmp_path / "c")
    found = nearest(store, np.ones((2, 8)), 3)
    assert found.ids.tolist() == [[-1] * 3] * 2
    assert describe(store, found.ids[0], found.distances[0]).num_rows == 0
    assert nearest(store, np.ones((1, 8)), 3, where="width > 1").ids.tolist() == [[-1] * 3]
    with pytest.raises(InvalidPredicate):
        nearest(store, np.ones((1, 8)), 3, where="nosuch > 1")


def test_hits_have_id_distance_similarity_and_the_metadata(store):
    table = describe(store, np.array([31, 2, -1]), np.array([0.25, 0.5, np.inf]))
    assert table.column_names[:3] == ["id", "distance", "similarity"]
    assert table["id"].to_pylist() == [31, 2]
    assert table["similarity"].to_pylist() == [0.75, 0.5]
    assert table["caption"].to_pylist() == ["caption 1 of part 1", "caption 2 of part 0"]
    assert table["part"].to_pylist() == [1, 0]


def test_the_similarity_of_the_release_is_the_pairs(store):
    table = describe(store, np.array([5]), np.array([0.25]))
    assert table["pair_similarity"].to_pylist() == [0.305]
    assert len(set(table.column_names)) == table.num_columns


def test_the_public_names_are_those_of_the_module():
    assert set(search.__all__) <= set(dir(search))
