"""Using a collection from Python: `import pairdex`, open, read, search."""

import json

import numpy as np
import pytest

import pairdex
from pairdex.encoders.model import load_model
from pairdex.errors import InvalidArgument, InvalidPredicate, Mismatch, MissingFile
from pairdex.knn.distance import cosine_distance


@pytest.fixture
def opened(collection):
    return pairdex.open(collection)


def test_it_knows_its_size_and_columns(opened, collection):
    assert (len(opened), opened.dim, opened.name) == (60, 8, "collection")
    assert opened.path == collection
    assert opened.columns == [
        "url",
        "caption",
        "nsfw",
        "similarity",
        "license",
        "width",
        "height",
        "part",
        "row",
    ]
    assert str(opened.schema.field("width").type) == "int32"
    assert opened.model is None
    assert opened.manifest.rows == 60
    assert repr(opened) == f"<Collection {collection}: 60 rows of 8 dimensions>"


def test_a_collection_is_opened_by_a_path_or_a_str(collection):
    assert len(pairdex.open(str(collection))) == len(pairdex.Collection.open(collection)) == 60


def test_build_reports_the_content_of_the_collection(make_parts, tmp_path):
    report = pairdex.build(
        str(make_parts(10, 5)), str(tmp_path / "c"), nsfw="sisap-dev", where="width >= 102", limit=8
    )
    assert (report.rows, report.parts, report.dim, report.added) == (8, 2, 8, 8)
    assert report.dropped == {"non_finite": 0, "zero": 0, "nsfw": 3, "where": 4}
    assert len(pairdex.open(tmp_path / "c")) == 8


def test_rows_are_taken_in_the_order_of_the_ids(opened):
    for ids in ([45, 3, 45], np.array([45, 3, 45], np.uint8), (45, 3, 45)):
        table = opened.take(ids, ["caption", "row"])
        assert table.to_pydict() == {
            "caption": ["caption 5 of part 2", "caption 3 of part 0", "caption 5 of part 2"],
            "row": [5, 3, 5],
        }
    assert opened.take([]).num_rows == 0


@pytest.mark.parametrize("ids", [[1.0], 5, [[1]], ["1"], [True], None])
def test_invalid_ids_are_an_error(opened, ids):
    with pytest.raises(InvalidArgument, match=r"ids are .*, expected integers"):
        opened.take(ids)


@pytest.mark.parametrize("ids", [[60], [-1], [2**63]])
def test_ids_out_of_range_are_an_error(opened, ids):
    with pytest.raises(InvalidArgument, match=r"id -?\d+ is out of range"):
        opened.take(ids)


def test_vectors_are_sliced_by_id(opened, tmp_path):
    released = np.concatenate([np.load(tmp_path / f"parts/img_emb_{n}.npy") for n in range(3)])
    np.testing.assert_array_equal(opened.vectors("image")[25:45], released[25:45])
    np.testing.assert_array_equal(opened.vectors()[[59, 0]], released[[59, 0]])


def test_nearest_gives_ids_and_distances(opened):
    queries = opened.vectors("image")[[7, 35]]
    ids, distances = opened.nearest(queries, k=4)
    assert ids.dtype == np.int64
    assert distances.dtype == np.float32
    assert ids[:, 0].tolist() == [7, 35]
    expected = cosine_distance(queries[:, None], opened.vectors("image")[:])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :4], atol=1e-7)


def test_nearest_accepts_array_likes(opened):
    vector = opened.vectors()[3]
    for queries in ([vector.tolist()], vector[None, :].astype(np.float64), vector[None, :]):
        assert opened.nearest(queries, 1)[0].tolist() == [[3]]


@pytest.mark.parametrize("on", ["image", "text"])
@pytest.mark.parametrize("where", [None, "part <> 1", "id % 7 = 0", "id = 3", "false"])
def test_codes_change_no_answer(collection, on, where):
    queries = np.random.default_rng(4).standard_normal((6, 8)).astype(np.float32)
    with_codes = pairdex.open(collection).nearest(queries, 12, on=on, where=where)
    without = pairdex.Collection.open(collection, use_codes=False).nearest(
        queries, 12, on=on, where=where
    )
    np.testing.assert_array_equal(with_codes[0], without[0])
    np.testing.assert_array_equal(with_codes[1], without[1])


def test_without_codes_a_search_writes_nothing(collection, tree):
    before = tree(collection)
    pairdex.Collection.open(collection, use_codes=False).nearest(np.ones((1, 8)), 3)
    assert tree(collection) == before


def test_codes_of_an_older_version_are_not_used(make_parts, tmp_path):
    pairdex.build(make_parts(30, folder="first"), tmp_path / "c")
    old = pairdex.open(tmp_path / "c")
    queries = np.random.default_rng(4).standard_normal((6, 8)).astype(np.float32)
    before = old.nearest(queries, 9)[0]
    pairdex.build(make_parts(40, numbers=[1]), tmp_path / "c")
    new = pairdex.open(tmp_path / "c")
    found = new.nearest(queries, 9)[0]
    assert (found >= 30).any()
    unaided = pairdex.Collection.open(tmp_path / "c", use_codes=False)
    np.testing.assert_array_equal(found, unaided.nearest(queries, 9)[0])
    np.testing.assert_array_equal(old.nearest(queries, 9)[0], before)


def test_search_gives_the_nearest_rows_with_their_metadata(opened):
    hits = opened.search(like=31, k=3)
    assert hits.column_names[:4] == ["id", "distance", "similarity", "url"]
    assert 31 not in hits["id"].to_pylist()
    assert hits["distance"].to_pylist() == sorted(hits["distance"].to_pylist())
    taken = opened.take(hits["id"].to_pylist())
    assert hits["caption"].to_pylist() == taken["caption"].to_pylist()


def test_search_by_a_rows_own_vector_finds_the_row_itself(opened):
    hits = opened.search(vector=opened.vectors()[31], k=1)
    assert hits["id"].to_pylist() == [31]
    assert hits["distance"][0].as_py() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("query", [{"like": 31}, {"vector": np.arange(8.0)}])
def test_pages_of_results_are_slices_of_the_whole(opened, query):
    whole = opened.search(**query, k=59, where="id <> 12")
    for offset, k in ((0, 5), (5, 5), (10, 30), (55, 10), (59, 3), (1000, 3)):
        page = opened.search(**query, k=k, offset=offset, where="id <> 12")
        assert page == whole.slice(offset, k)


def test_a_filter_gives_k_rows_if_k_pass(opened):
    hits = opened.search(vector=np.ones(8), k=5, where="nsfw = 'UNSURE' AND part <> 1")
    assert hits["nsfw"].to_pylist() == ["UNSURE"] * 5
    assert opened.search(vector=np.ones(8), k=5, where="id IN (3, 58)").num_rows == 2


def test_text_vectors_are_searched_where_asked(opened):
    vector = opened.vectors("text")[44]
    assert opened.search(vector=vector, k=1, on="text")["id"].to_pylist() == [44]
    assert opened.search(vector=vector, k=1, on="image")["id"].to_pylist() != [44]


def test_a_k_larger_than_the_collection_gives_all_rows(opened):
    assert opened.search(vector=np.ones(8), k=1000).num_rows == 60
    assert opened.search(like=3, k=1000).num_rows == 59


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, InvalidArgument, "exactly one of text, image, like, vector and terms"),
        ({"like": 1, "k": 0}, InvalidArgument, "k is 0, expected 1 to"),
        ({"like": 1, "k": -1}, InvalidArgument, "k is -1, expected 1 to"),
        ({"like": 1, "offset": -1}, InvalidArgument, "the offset is -1, expected at least 0"),
        ({"like": 60}, InvalidArgument, "id 60 is out of range"),
        ({"like": 1, "on": "sound"}, InvalidArgument, "has no 'sound' vectors"),
        ({"like": 1, "where": ""}, InvalidPredicate, "the filter is empty"),
        ({"like": 1, "where": "nosuch = 1"}, InvalidPredicate, "the unknown column nosuch"),
        ({"vector": np.ones(9)}, Mismatch, r"has shape \(9,\), expected \(8,\)"),
        ({"text": "a car"}, MissingFile, "does not record which model made its vectors"),
        ({"like": 1, "unlike": "a car"}, MissingFile, "does not record which model"),
    ],
)
def test_invalid_searches_are_an_error(opened, given, error, message):
    with pytest.raises(error, match=message):
        opened.search(**given)


def test_an_empty_collection_is_one(make_parts, tmp_path):
    pairdex.build(make_parts(3), tmp_path / "c", where="false")
    empty = pairdex.open(tmp_path / "c")
    assert len(empty) == 0
    assert empty.search(vector=np.ones(8)).num_rows == 0
    ids, distances = empty.nearest(np.ones((2, 8)), 3)
    assert (ids == -1).all()
    assert np.isposinf(distances).all()
    assert empty.vectors()[:].shape == (0, 8)
    with pytest.raises(InvalidArgument, match="id 0 is out of range"):
        empty.search(like=0)


def test_a_text_is_searched_with_the_collections_model(make_parts, tmp_path):
    source = make_parts(20, dim=64)
    pairdex.build(source, tmp_path / "c", model="demo")
    opened = pairdex.open(tmp_path / "c")
    assert opened.model["name"] == "demo"
    text = opened.encoder.encode_texts(["a red car"])[0]
    expected = opened.search(vector=text, k=5)
    assert opened.search(text="a red car", k=5)["id"] == expected["id"]
    assert opened.search(text="a red car", unlike="a blue car", k=5).num_rows == 5


def test_another_model_than_the_collections_is_refused_naming_both(make_parts, build, tmp_path):
    model = {"name": "theirs", "dim": 64, "checksum": "0123456789ab" + "c" * 52, "folder": None}
    build(make_parts(3, dim=64), tmp_path / "c", model=model)
    opened = pairdex.open(tmp_path / "c", model="demo")
    with pytest.raises(
        Mismatch,
        match=r"was made with the model theirs \(0123456789ab\), but demo is demo \([0-9a-f]{12}\)",
    ):
        opened.search(text="a red car")


def test_a_model_of_another_dimension_is_refused(collection):
    opened = pairdex.open(collection, model="demo")
    with pytest.raises(Mismatch, match="has vectors of 8 dimensions, the model demo makes 64"):
        opened.search(text="a red car")


def test_a_model_can_be_named_for_a_collection_that_records_none(make_parts, tmp_path):
    pairdex.build(make_parts(3, dim=64), tmp_path / "c")
    assert pairdex.open(tmp_path / "c", model="demo").search(text="a red car").num_rows == 3


def test_build_refuses_a_model_of_another_dimension(make_parts, tmp_path):
    with pytest.raises(Mismatch, match=r"demo makes vectors of 64 dimensions, img_emb_0.npy has 8"):
        pairdex.build(make_parts(3), tmp_path / "c", model="demo")


@pytest.fixture
def with_pictures(make_parts, tmp_path):
    """A function that builds a collection whose rows have the given picture names."""

    def make(*names):
        (tmp_path / "pictures" / "inside").mkdir(parents=True)
        for name in ("a.png", "inside/b.png", "../secret.txt"):
            (tmp_path / "pictures" / name).write_text(name)
        (tmp_path / "pictures" / "link.txt").symlink_to(tmp_path / "secret.txt")
        (tmp_path / "pictures" / "loop").symlink_to("loop")
        columns = {"image_path": list(names)}
        source = make_parts(len(names), dim=64, columns=columns)
        note = {"model": load_model("demo").record(), "pictures": str(tmp_path / "pictures")}
        (source / "pairdex.json").write_text(json.dumps(note))
        pairdex.build(source, tmp_path / "c")
        return pairdex.open(tmp_path / "c")

    return make


def test_pictures_are_found_below_their_folder(with_pictures, tmp_path):
    opened = with_pictures("a.png", "inside/b.png", "inside/../a.png")
    found = [opened.picture(row_id) for row_id in range(3)]
    assert found[:2] == [tmp_path / "pictures/a.png", tmp_path / "pictures/inside/b.png"]
    assert found[2] == tmp_path / "pictures/a.png"


def test_nothing_outside_the_pictures_folder_is_a_picture(with_pictures, tmp_path):
    names = [
        "../secret.txt",
        str(tmp_path / "secret.txt"),
        "/etc/passwd",
        "link.txt",
        "inside/../../secret.txt",
        "inside",
        "",
        None,
        "absent.png",
        "loop",
        "a\0b",
        "x" * 5000,
        "\udce9.png".encode("utf-8", "replace").decode(),
    ]
    opened = with_pictures(*names)
    assert [opened.picture(row_id) for row_id in range(len(names))] == [None] * len(names)
    with pytest.raises(InvalidArgument, match="out of range"):
        opened.picture(len(names))


def test_rows_of_released_parts_have_no_pictures(opened):
    assert opened.picture(3) is None


def test_several_threads_may_search_at_once(opened):
    from concurrent.futures import ThreadPoolExecutor

    def search(row_id):
        return opened.search(like=row_id, k=5, where="width < 125")["id"].to_pylist()

    expected = [search(row_id) for row_id in range(20)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, range(20))) == expected
