"""Using a collection from Python: `import pairdex`, open, read, search."""

import json
import os
import pickle
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

import pairdex
from pairdex.encoders.model import load_model
from pairdex.errors import (
    InvalidArgument,
    InvalidPredicate,
    Mismatch,
    MissingExtra,
    MissingFile,
)
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
    assert hits.table.column_names[:4] == ["id", "distance", "similarity", "url"]
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
        assert page.table == whole.table.slice(offset, k)


def test_a_filter_gives_k_rows_if_k_pass(opened):
    hits = opened.search(vector=np.ones(8), k=5, where="nsfw = 'UNSURE' AND part <> 1")
    assert hits["nsfw"].to_pylist() == ["UNSURE"] * 5
    assert len(opened.search(vector=np.ones(8), k=5, where="id IN (3, 58)")) == 2


def test_text_vectors_are_searched_where_asked(opened):
    vector = opened.vectors("text")[44]
    assert opened.search(vector=vector, k=1, on="text")["id"].to_pylist() == [44]
    assert opened.search(vector=vector, k=1, on="image")["id"].to_pylist() != [44]


def test_a_k_larger_than_the_collection_gives_all_rows(opened):
    assert len(opened.search(vector=np.ones(8), k=1000)) == 60
    assert len(opened.search(like=3, k=1000)) == 59


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
    assert len(empty.search(vector=np.ones(8))) == 0
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
    assert len(opened.search(text="a red car", unlike="a blue car", k=5)) == 5


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
    assert len(pairdex.open(tmp_path / "c", model="demo").search(text="a red car")) == 3


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


def test_the_type_of_a_question_says_what_it_is(make_parts, tmp_path):
    pairdex.build(make_parts(20, dim=64), tmp_path / "c", model="demo")
    opened = pairdex.open(tmp_path / "c")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    picture = tmp_path / "red.png"
    vector = opened.vectors()[3]
    asked = {
        "text": ["a red car"],
        "image": [picture, picture.read_bytes(), Image.open(picture)],
        "like": [3, np.int64(3)],
        "vector": [vector, vector.astype(float).tolist()],
    }
    for name, questions in asked.items():
        for question in questions:
            found, expected = opened.search(question, k=4), opened.search(**{name: question}, k=4)
            assert found.table == expected.table
    query = pairdex.Query(text="a red car", unlike="a blue boat")
    assert opened.search(query).table == opened.search("a red car", unlike="a blue boat").table
    answers = opened.search(["a red car", 3, picture], k=2)
    assert [len(hits) for hits in answers] == [2, 2, 2]
    assert answers[1].table == opened.search(3, k=2).table
    both = opened.search(opened.vectors()[[3, 5]], k=1)
    assert [hits.ids.tolist() for hits in both] == [[3], [5]]


@pytest.mark.parametrize(
    "question", [object(), 1.5, True, np.ones((2, 2, 2)), [object()], {"a": 1}]
)
def test_what_is_no_question_is_refused_by_name(opened, question):
    with pytest.raises(
        InvalidArgument, match=r"question is a .*, expected a text, a picture"
    ) as caught:
        opened.search(question)
    assert caught.value.field == "question"


def test_a_question_is_asked_once(opened):
    with pytest.raises(InvalidArgument, match="either a question or like"):
        opened.search(3, like=4)


def test_hits_are_rows_columns_and_a_table(opened):
    hits = opened.search(31, k=5)
    assert len(hits) == len(list(hits)) == hits.table.num_rows == 5
    assert hits[0] == next(iter(hits)) == hits.table.slice(0, 1).to_pylist()[0]
    assert hits[-1]["id"] == hits.ids[4] == hits["id"][4].as_py()
    assert hits[1:3].ids.tolist() == hits.ids[1:3].tolist()
    assert hits.distances.tolist() == hits["distance"].to_pylist()
    assert hits.report.exact
    assert (
        repr(hits) == f"<Hits: 5 rows, exact; first: id {hits.ids[0]} at {hits.distances[0]:.4g}>"
    )
    assert repr(hits[:0]) == "<Hits: no rows>"
    with pytest.raises(IndexError):
        hits[5]
    with pytest.raises(InvalidArgument, match="no column nosuch"):
        hits["nosuch"]


@pytest.mark.parametrize(("name", "method"), [("pandas", "to_pandas"), ("polars", "to_polars")])
def test_hits_become_a_data_frame_where_the_package_is_installed(opened, monkeypatch, name, method):
    hits = opened.search(31, k=5)
    if find_spec(name) is not None:
        assert list(getattr(hits, method)()["id"]) == hits.ids.tolist()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=f"pip install {name}"):
        getattr(hits, method)()


def test_neighbours_unpack_and_have_a_table(opened):
    vectors = np.asarray(opened.vectors()[[3, 5]], np.float32)
    found = opened.nearest(vectors, 4)
    ids, distances = found
    assert (ids.shape, ids.dtype, distances.dtype) == ((2, 4), np.int64, np.float32)
    assert found.table.column_names == ["query", "rank", "id", "distance"]
    assert found.table["id"].to_pylist() == ids.ravel().tolist()
    one = opened.nearest(vectors[0], 4)
    assert (one.ids.tolist(), one.distances.shape) == (ids[0].tolist(), (4,))
    assert one.table["id"].to_pylist() == ids[0].tolist()


def test_vectors_come_from_a_file_too(opened, tmp_path):
    np.save(tmp_path / "q.npy", opened.vectors()[[3, 5]])
    for place in (tmp_path / "q.npy", str(tmp_path / "q.npy")):
        assert opened.nearest(place, 1).ids.ravel().tolist() == [3, 5]


def test_rows_are_read_by_id_list_and_slice(opened):
    pairdex.remove(opened, ids=[7], reason="test")
    assert opened[5] == {"id": 5, **opened.take([5]).to_pylist()[0]}
    assert opened[[5, 3]]["id"].to_pylist() == [5, 3]
    assert opened[5:9]["id"].to_pylist() == [5, 6, 8]
    assert [row["id"] for row in opened] == [*range(7), *range(8, 60)]
    assert next(iter(opened)) == opened[0]
    assert (5 in opened, 7 in opened, 60 in opened, "5" in opened) == (True, False, False, False)
    for gone in (7, 60, -1):
        for error in (KeyError, IndexError, pairdex.PairdexError):
            with pytest.raises(error, match=r"^id -?\d+ (was removed|is out of range)"):
                opened[gone]
    with pytest.raises(InvalidArgument):
        opened["caption"]


def test_an_opened_collection_is_a_path(opened, tmp_path):
    assert os.fspath(opened) == str(opened.path)
    assert pairdex.verify(opened).damaged == []
    assert pairdex.subset(opened, tmp_path / "s", parts="0,2", limit=30).rows == 30
    assert pairdex.sql(opened, "SELECT count(*) AS n FROM pairs").to_pylist() == [{"n": 60}]
    assert opened.sql("SELECT 1 AS one", memory=10**9).to_pylist() == [{"one": 1}]
    assert opened.info() == pairdex.info(opened.path)


def test_a_closed_collection_says_so(collection):
    with pairdex.open(collection) as opened:
        assert len(opened) == 60
    for use in (len, lambda c: c.search(3), lambda c: c[3], pickle.dumps):
        with pytest.raises(InvalidArgument, match="is closed; open it again"):
            use(opened)
    assert repr(opened) == f"<Collection {collection}: closed>"


def test_a_pickled_collection_is_opened_again(collection):
    opened = pairdex.open(collection, use_codes=False)
    again = pickle.loads(pickle.dumps(opened))
    assert again.search(3).table == opened.search(3).table
    assert not again.finder.use_codes
