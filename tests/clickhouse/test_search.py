"""Indexing and searching a loaded table: the same rows that pairdex finds, always k of them."""

import numpy as np
import pytest

import pairdex
from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.index import IndexSpec, build_indexes, check_version
from pairdex.clickhouse.load import load_collection
from pairdex.clickhouse.search import search_table, search_vectors
from pairdex.errors import EngineFailed, InvalidArgument, Mismatch
from pairdex.search import Query

SPEC = IndexSpec.parse("hnsw,cosineDistance,bf16,16,64")


@pytest.fixture(scope="module")
def place(drawn, clickhouse_url):
    """A table `drawn`, loaded and indexed."""
    place = Place(urls=(clickhouse_url,))
    load_collection(drawn, place, table="drawn", columns=("width",))
    build_indexes(drawn, place, SPEC, table="drawn")
    return place


def ids_of(table):
    return table["id"].to_pylist()


def test_a_text_finds_what_pairdex_finds(drawn, place):
    collection = pairdex.open(drawn)
    expected = collection.search(text="a red car", hybrid=False, k=10)
    found = search_table(collection, place, Query(text="a red car"), table="drawn")
    assert found.by_index
    assert ids_of(found.table) == ids_of(expected)
    np.testing.assert_allclose(found.table["distance"], expected["distance"], atol=1e-6)
    assert found.table["caption"].to_pylist() == expected["caption"].to_pylist()
    assert found.table["url"].to_pylist() == expected["image_path"].to_pylist()
    brute = search_table(collection, place, Query(text="a red car"), table="drawn", exact=True)
    assert not brute.by_index
    assert ids_of(brute.table) == ids_of(expected)


def test_rows_like_a_row_are_without_the_row(drawn, place):
    collection = pairdex.open(drawn)
    for on in ("image", "text"):
        found = search_table(collection, place, Query(like=17), table="drawn", on=on, k=5)
        assert ids_of(found.table) == ids_of(collection.search(like=17, k=5, on=on))


def test_many_vectors_are_searched_at_once_and_padded(drawn, place):
    collection = pairdex.open(drawn)
    vectors = collection.vectors("text")[:20].astype(np.float32)
    ids, distances = search_vectors(collection, place, vectors, table="drawn", k=7)
    expected = collection.nearest(vectors, 7)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_allclose(distances, expected[1], atol=1e-6)
    ids, distances = search_vectors(collection, place, vectors[:1], table="drawn", k=400)
    assert sorted(ids[0, :300]) == list(range(300))
    assert set(ids[0, 300:]) == {-1}
    assert np.isinf(distances[0, 300:]).all()


@pytest.mark.parametrize("where", ["id % 50 = 7", "caption LIKE '%red%' AND width > 0", "id = 299"])
def test_a_filter_still_gives_k_rows_if_k_qualify(drawn, place, clickhouse_query, where):
    collection = pairdex.open(drawn)
    found = search_table(
        collection, place, Query(text="a red car"), table="drawn", k=6, where=where
    )
    expected = ids_of(
        collection.search(
            text="a red car", hybrid=False, k=6, where=where.replace("width > 0", "true")
        )
    )
    assert ids_of(found.table) == expected
    assert len(expected) == (1 if where == "id = 299" else 6)


@pytest.mark.parametrize(
    "where",
    [
        "1) LIMIT 1; DROP TABLE drawn; --",
        "1; DROP TABLE drawn",
        "1 UNION ALL SELECT 1",
        "nothing = 1",
        "caption = 'it\\'s' OR '",
    ],
)
def test_a_filter_is_one_condition_and_cannot_end_the_statement(
    drawn, place, clickhouse_query, where
):
    with pytest.raises(EngineFailed, match="failed: ") as raised:
        search_table(pairdex.open(drawn), place, Query(like=1), table="drawn", where=where)
    assert "\n" not in str(raised.value)
    assert clickhouse_query(place.urls[0], "SELECT count() FROM drawn") == [(300,)]


def test_quotes_in_a_filter_are_what_they_are(drawn, place):
    found = search_table(
        pairdex.open(drawn),
        place,
        Query(like=1),
        table="drawn",
        where=r"caption != 'it\'s \\ a \"test\"'",
        k=3,
    )
    assert len(found.table) == 3


def test_removed_rows_are_not_found_and_leave_k(make_parts, clickhouse_url, tmp_path):
    pairdex.build(make_parts(500, dim=64), tmp_path / "c", nsfw="none")
    place = Place(urls=(clickhouse_url,))
    load_collection(tmp_path / "c", place, table="shrinks")
    build_indexes(tmp_path / "c", place, SPEC, table="shrinks")
    collection = pairdex.open(tmp_path / "c")
    nearest = ids_of(collection.search(like=0, k=40))
    pairdex.remove(tmp_path / "c", ids=nearest[:30], reason="asked to")
    load_collection(tmp_path / "c", place, table="shrinks")
    found = search_table(collection, place, Query(like=0), table="shrinks", k=10)
    assert ids_of(found.table) == nearest[30:]


def test_rows_that_were_removed_since_the_load_are_not_found(make_parts, clickhouse_url, tmp_path):
    pairdex.build(make_parts(300, dim=64), tmp_path / "c", nsfw="none")
    place = Place(urls=(clickhouse_url,))
    load_collection(tmp_path / "c", place, table="late")
    build_indexes(tmp_path / "c", place, SPEC, table="late")
    collection = pairdex.open(tmp_path / "c")
    nearest = ids_of(collection.search(like=0, k=60))
    pairdex.remove(tmp_path / "c", ids=nearest[:45], reason="asked to")
    for where in (None, "id >= 0"):
        found = search_table(collection, place, Query(like=0), table="late", where=where)
        assert ids_of(found.table) == nearest[45:55]


def test_shards_are_searched_as_one_table(drawn, clickhouse_url, clickhouse_server, monkeypatch):
    for module in ("load", "schema"):
        monkeypatch.setattr(f"pairdex.clickhouse.{module}.BLOCK_ROWS", 20)
    place = Place(urls=(clickhouse_url, clickhouse_server()))
    load_collection(drawn, place, table="shards")
    assert len(build_indexes(drawn, place, SPEC, table="shards")) == 4
    collection = pairdex.open(drawn)
    found = search_table(collection, place, Query(text="a blue boat"), table="shards", k=15)
    assert found.by_index
    assert ids_of(found.table) == ids_of(collection.search(text="a blue boat", hybrid=False, k=15))


def test_a_cluster_is_indexed_and_searched_through_its_distributed_table(drawn, clickhouse_server):
    place = Place(urls=(clickhouse_server("--cluster", "shop"),))
    load_collection(drawn, place, cluster="shop")
    reports = build_indexes(drawn, place, SPEC, cluster="shop")
    assert [report.name for report in reports] == ["image_index", "text_index"]
    assert all(report.bytes > 0 for report in reports)
    collection = pairdex.open(drawn)
    for where in (None, "id % 10 = 3"):
        found = search_table(collection, place, Query(text="a red car"), where=where)
        assert ids_of(found.table) == ids_of(
            collection.search(text="a red car", hybrid=False, where=where)
        )


# --- the index ---


def test_an_index_that_is_there_is_not_built_again_and_new_rows_are_in_it(
    make_parts, tmp_path, clickhouse_url
):
    place = Place(urls=(clickhouse_url,))
    pairdex.build(make_parts(200, dim=64), tmp_path / "c", nsfw="none")
    load_collection(tmp_path / "c", place, table="grown")
    seen = []
    first = build_indexes(
        tmp_path / "c", place, SPEC, table="grown", progress=lambda *step: seen.append(step)
    )
    assert [report.type for report in first] == [
        "vector_similarity('hnsw', 'cosineDistance', 64, 'bf16', 16, 64)"
    ] * 2
    assert seen[-1] == ("text_index", 200, 200)
    again = build_indexes(tmp_path / "c", place, SPEC, table="grown")
    assert [report.seconds for report in again] == [0.0, 0.0]
    assert again[0].bytes == pytest.approx(first[0].bytes, rel=0.01)
    pairdex.build(make_parts(100, numbers=[1], dim=64), tmp_path / "c", nsfw="none")
    load_collection(tmp_path / "c", place, table="grown")
    more = build_indexes(tmp_path / "c", place, SPEC, table="grown")
    assert [report.seconds for report in more] == [0.0, 0.0]
    assert more[0].bytes > first[0].bytes
    collection = pairdex.open(tmp_path / "c")
    found = search_table(collection, place, Query(like=250), table="grown", k=20)
    assert found.by_index
    assert ids_of(found.table) == ids_of(collection.search(like=250, k=20))


def test_another_index_of_the_name_is_left_alone(drawn, place):
    other = IndexSpec.parse("hnsw,cosineDistance,f32,16,64")
    with pytest.raises(
        Mismatch, match=r"has another index image_index: got .*'bf16'.*expected .*'f32'"
    ):
        build_indexes(drawn, place, other, table="drawn")


@pytest.mark.parametrize("version", ["18.16.1", "24.8.4.13", "25.7.1.1"])
def test_a_server_without_the_index_is_said_to_be_too_old(version):
    with pytest.raises(EngineFailed, match=f"it is {version}, vector_similarity needs 25.8"):
        check_version(version, "here")


def test_the_oldest_server_with_the_index_is_accepted():
    check_version("25.8.1.5101", "here")
    check_version("26.9.2.1", "here")


@pytest.mark.parametrize(
    "text", ["ivf", "hnsw,L2Distance", "hnsw,cosineDistance,int4", "hnsw,cosineDistance,bf16,x", "hnsw,cosineDistance,bf16,1,64", "hnsw,cosineDistance,bf16,64,256,1", ""]
)  # fmt: skip
def test_an_index_that_cannot_be_is_refused(text):
    with pytest.raises(InvalidArgument, match="the index "):
        IndexSpec.parse(text)


def test_what_is_left_out_of_an_index_is_the_tutorials():
    assert IndexSpec.parse("hnsw") == IndexSpec("bf16", 64, 256)
    assert IndexSpec.parse("hnsw, cosineDistance, i8") == IndexSpec("i8", 64, 256)


# --- the commands ---


def test_the_command_loads_indexes_and_searches(drawn, clickhouse_url, run, tmp_path):
    at = ("--url", clickhouse_url, "--table", "command")
    done = run(
        "clickhouse", "load", drawn, *at, "--index", "hnsw,cosineDistance,bf16,16,64", "--json"
    )
    assert [built["name"] for built in done.json["indexes"]] == ["image_index", "text_index"]
    found = run("clickhouse", "search", drawn, *at, "--text", "a red car", "-k", "3", "--json").json
    expected = pairdex.open(drawn).search(text="a red car", hybrid=False, k=3)
    assert [hit["id"] for hit in found["hits"]] == ids_of(expected)
    assert (found["exact"], found["index"]) == (False, True)
    shown = run("clickhouse", "search", drawn, *at, "--text", "a red car", "--exact").out
    assert "10 rows in" in shown
    assert "compared with all rows" in shown
    np.save(tmp_path / "q.npy", pairdex.open(drawn).vectors("image")[:2].astype(np.float32))
    many = run(
        "clickhouse", "search", drawn, *at, "--vectors", tmp_path / "q.npy", "-k", "2", "--json"
    ).json
    assert [row[0] for row in many["ids"]] == [0, 1]


def test_a_table_that_is_not_there_is_said(drawn, clickhouse_url, run):
    at = ("--url", clickhouse_url, "--table", "nowhere")
    said = run("clickhouse", "search", drawn, *at, "--like", "3").complaint
    assert said.startswith(
        f"the table nowhere does not exist at {clickhouse_url}; create it with pairdex clickhouse load"
    )
