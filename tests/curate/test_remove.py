"""Removing rows by id, URL or filter: counted rightly, and gone from everything that finds or shows rows."""

import threading

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
import pairdex.curate.remove as remove_module
import pairdex.curate.subset as subset_module
from pairdex.curate.id_files import read_ids, read_urls
from pairdex.derived.codes import open_or_build_codes
from pairdex.errors import InvalidArgument, InvalidPredicate, Mismatch, PairdexError
from pairdex.files import atomic, lock
from pairdex.files.query_files import Queries, read_queries
from pairdex.knn import cosine, torch_device
from pairdex.knn.codes import Codes
from pairdex.reference.gold import write_gold as gold
from pairdex.search import searcher
from pairdex.store.manifest import read_manifest
from pairdex.store.removed import REMOVED, read_removed
from pairdex.store.store import Store


def remove(collection, **selection):
    return pairdex.remove(collection, reason="takedown", **selection)


def counts(report):
    return report.removed, report.already, report.unknown, report.rows


def removed_ids(collection):
    removed = Store(collection).removed
    return [] if removed is None else np.flatnonzero(removed).tolist()


def test_ids_are_removed_once(collection):
    assert counts(remove(collection, ids=[5, 3, 5, 59])) == (3, 0, 0, 57)
    assert counts(remove(collection, ids=np.array([3, 4], np.uint8))) == (1, 1, 0, 56)
    assert removed_ids(collection) == [3, 4, 5, 59]


@pytest.mark.parametrize("ids", [[3, 60], [-1], np.array([3, 2**63], np.uint64)])
def test_ids_out_of_range_are_refused_as_a_whole(collection, tree, ids):
    before = tree(collection)
    with pytest.raises(InvalidArgument, match=rf"id {ids[-1]} is out of range"):
        remove(collection, ids=ids)
    assert tree(collection) == before


def test_urls_remove_every_row_that_has_them(make_parts, tmp_path):
    def columns(number, rows):
        return {"url": pa.array([None if row == 3 else f"u{row % 5}" for row in range(rows)])}

    pairdex.build(make_parts(10, 10, columns=columns), tmp_path / "c")
    report = remove(tmp_path / "c", urls=["u1", "u9", "u1", "U2", "u2 "])
    assert counts(report) == (4, 0, 3, 16)
    assert report.unknown_urls == ["u9", "U2", "u2 "]
    assert removed_ids(tmp_path / "c") == [1, 6, 11, 16]
    again = remove(tmp_path / "c", urls=["u1", "u3"])
    assert counts(again) == (2, 4, 0, 14)
    assert removed_ids(tmp_path / "c") == [1, 6, 8, 11, 16, 18]


def test_urls_need_a_column_of_urls(make_parts, tmp_path):
    pairdex.build(make_parts(10, columns={"caption": ["a"] * 10}), tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has no column url; it has caption, part, row"):
        remove(tmp_path / "c", urls=["a"])


def test_a_filter_removes_what_satisfies_it_by_column_or_id(collection):
    assert counts(remove(collection, where="part = 1 AND id >= 35")) == (5, 0, 0, 55)
    assert counts(remove(collection, where="id >= 37 AND id < 42")) == (2, 3, 0, 53)
    assert removed_ids(collection) == [35, 36, 37, 38, 39, 40, 41]


@pytest.mark.parametrize("selection", [{"ids": []}, {"urls": []}, {"where": "width > 9999"}])
def test_an_empty_selection_removes_nothing_and_writes_nothing(collection, tree, selection):
    before = tree(collection)
    assert counts(remove(collection, **selection)) == (0, 0, 0, 60)
    assert tree(collection) == before


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ({}, "remove takes exactly one of ids, urls and where, got none of them"),
        ({"ids": [1], "where": "id = 1"}, "got ids and where"),
        ({"ids": [1.5]}, r"ids are float64 of shape \(1,\), expected integers"),
        ({"ids": [[1]]}, "ids are int64"),
        ({"where": "colour = 'red'"}, "unknown column colour"),
    ],
)
def test_what_selects_no_rows_is_told(collection, selection, told):
    with pytest.raises(InvalidArgument, match=told):
        remove(collection, **selection)
    assert not (collection / REMOVED).exists()


def test_an_empty_reason_is_refused_before_anything_is_written(collection):
    with pytest.raises(InvalidArgument, match="the reason is empty"):
        pairdex.remove(collection, ids=[1], reason=" ")
    assert not (collection / REMOVED).exists()


def test_a_takedown_waits_for_no_build(collection):
    with lock.writing(collection):
        assert counts(remove(collection, ids=[1])) == (1, 0, 0, 59)
    assert removed_ids(collection) == [1]


def test_takedowns_wait_for_each_other_and_none_is_lost(collection):
    threads = [
        threading.Thread(target=remove, args=[collection], kwargs={"ids": [i]}) for i in range(12)
    ]
    with lock.removing(collection):
        for thread in threads:
            thread.start()
        assert not (collection / REMOVED).exists()
    for thread in threads:
        thread.join()
    assert removed_ids(collection) == list(range(12))


def test_what_is_removed_can_be_read_while_it_is_replaced(collection):
    manifest = read_manifest(collection)
    remove(collection, ids=[0])
    ended = threading.Event()

    def take_down():
        for row_id in range(1, 60):
            remove(collection, ids=[row_id])
        ended.set()

    thread = threading.Thread(target=take_down)
    thread.start()
    counts = [read_removed(collection, manifest).count]
    while not ended.is_set():
        counts.append(read_removed(collection, manifest).count)
    thread.join()
    assert counts == sorted(counts)
    assert read_removed(collection, manifest).count == 60


def test_rows_that_arrive_while_others_are_chosen_are_taken_down_too(
    make_parts, tmp_path, monkeypatch
):
    def columns(number, rows):
        return {"url": [f"u{row}" for row in range(rows)]}

    parts = make_parts(10, 10, columns=columns)
    pairdex.build(parts, tmp_path / "c", parts=frozenset([0]))
    choose = remove_module._chosen
    arrived = []

    def choose_slowly(*arguments):
        chosen = choose(*arguments)
        if not arrived:  # a build ends between the choice and the lock
            arrived.append(pairdex.build(parts, tmp_path / "c"))
        return chosen

    monkeypatch.setattr(remove_module, "_chosen", choose_slowly)
    assert counts(remove(tmp_path / "c", urls=["u4"])) == (2, 0, 0, 18)
    assert removed_ids(tmp_path / "c") == [4, 14]


def test_builds_and_takedowns_side_by_side_lose_nothing(make_parts, tmp_path):
    parts = make_parts(*[10] * 12)
    pairdex.build(parts, tmp_path / "c", parts=frozenset([0]))
    taken = []

    def take_down():
        for row in range(10):
            assert remove(tmp_path / "c", ids=[row]).removed == 1
            taken.append(row)

    thread = threading.Thread(target=take_down)
    thread.start()
    for number in range(1, 12):
        pairdex.build(parts, tmp_path / "c", parts=frozenset(range(number + 1)))
    thread.join()
    assert taken == removed_ids(tmp_path / "c") == list(range(10))
    assert len(pairdex.open(tmp_path / "c")) == 110
    assert pairdex.verify(tmp_path / "c").damaged == []


def test_a_build_spares_the_file_that_a_takedown_is_writing(make_parts, tmp_path):
    parts = make_parts(10, 10)
    pairdex.build(parts, tmp_path / "c", parts=frozenset([0]))
    with atomic.replacing(tmp_path / "c" / REMOVED) as file:
        file.write(b"on its way")
        pairdex.build(parts, tmp_path / "c")
    assert (tmp_path / "c" / REMOVED).read_bytes() == b"on its way"


def test_a_subset_of_rows_that_are_removed_meanwhile_is_refused(collection, tmp_path, monkeypatch):
    choose = subset_module.choose

    def choose_slowly(*arguments):
        chosen = choose(*arguments)
        remove(collection, ids=[1])
        return chosen

    monkeypatch.setattr(subset_module, "choose", choose_slowly)
    with pytest.raises(Mismatch, match=r"rows were removed from .* meanwhile: run the same"):
        pairdex.subset(collection, tmp_path / "new", limit=5)
    assert not (tmp_path / "new").exists()


def test_no_collection_is_told_and_not_made(tmp_path):
    with pytest.raises(PairdexError, match="is not a collection"):
        remove(tmp_path / "absent", ids=[1])
    assert not (tmp_path / "absent").exists()


# --- files of ids and URLs


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("ids.txt", "5\n3\n\n 4 \n", [5, 3, 4]),
        ("ids.txt", "\ufeff5\r\n3", [5, 3]),
        ("ids", "id\n7\n", [7]),
        ("ids.csv", "7\n8\n", [7, 8]),
        ("ids.csv", 'url,id\n"a,b",7\nc,8\n', [7, 8]),
        ("ids.txt", "", []),
    ],
)
def test_ids_are_read_from_text(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_text(content, "utf-8")
    assert read_ids(path).tolist() == expected


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("ids.txt", "5\nx\n", "holds 'x', expected an id"),
        ("ids.txt", "1.5", "holds '1.5'"),
        ("ids.txt", "9" * 30, "expected an id"),
        ("ids.csv", "a,b\n1,2\n", "has 2 columns and none is called id"),
        ("ids.npy", "no array", "cannot be read"),
    ],
)
def test_what_is_no_file_of_ids_is_told(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(PairdexError, match=told):
        read_ids(tmp_path / name)


def test_ids_are_read_from_npy(tmp_path):
    np.save(tmp_path / "ids.npy", np.array([4, 2], np.uint32))
    assert read_ids(tmp_path / "ids.npy").tolist() == [4, 2]
    np.save(tmp_path / "ids.npy", np.array([4.0]))
    with pytest.raises(InvalidArgument, match=r"holds float64 of shape \(1,\), expected integers"):
        read_ids(tmp_path / "ids.npy")


@pytest.mark.parametrize("reader", [read_ids, read_urls])
def test_files_that_are_missing_or_no_text_are_told(tmp_path, reader):
    with pytest.raises(PairdexError, match=r"absent\.txt does not exist"):
        reader(tmp_path / "absent.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(PairdexError, match=r"bytes\.txt is not UTF-8 text"):
        reader(tmp_path / "bytes.txt")


def test_urls_are_read_as_they_are(tmp_path):
    (tmp_path / "urls").write_text("http://a/ b\u2028c \n\nhttp://d\r\n", "utf-8")
    assert read_urls(tmp_path / "urls") == ["http://a/ b\u2028c ", "http://d"]


# --- gone from everything


@pytest.fixture
def opened(collection):
    """The collection, opened before anything is removed."""
    return pairdex.open(collection)


@pytest.mark.parametrize("use_codes", [False, True])
@pytest.mark.parametrize("on", ["image", "text"])
@pytest.mark.parametrize("where", [None, "id < 40"])
def test_searches_find_the_live_rows_that_a_collection_without_the_others_would(
    collection, use_codes, on, where
):
    opened = pairdex.open(collection, use_codes=use_codes)
    queries = np.asarray(opened.vectors(on), np.float32)[::7]
    everything = opened.nearest(queries, 60, on=on, where=where)
    gone = np.arange(0, 60, 3)
    assert isinstance(open_or_build_codes(Store(collection), on), Codes)
    remove(collection, ids=gone)
    for searched in (opened, pairdex.open(collection, use_codes=use_codes)):
        found = searched.nearest(queries, 10, on=on, where=where)
        for row, ids, distances in zip(everything.ids, found.ids, found.distances, strict=True):
            expected = [i for i in row if i >= 0 and i % 3][:10]
            assert ids.tolist() == expected
            assert (np.diff(distances) >= 0).all()


def test_everything_else_of_an_open_collection_notices_at_once(collection, opened):
    remove(collection, ids=[0, 7])
    assert (len(opened), opened.removed) == (58, 2)
    assert 0 not in opened
    assert 1 in opened
    assert 60 not in opened
    for gone in (0, 7):
        for asked in (
            lambda gone=gone: opened.take([3, gone]),
            lambda gone=gone: opened.search(like=gone),
            lambda gone=gone: opened.picture(gone),
        ):
            with pytest.raises(InvalidArgument, match=f"id {gone} was removed"):
                asked()
    hits = opened.search(vector=np.asarray(opened.vectors()[0], np.float32), k=60)
    assert sorted(hits["id"].to_pylist()) == [i for i in range(60) if i not in (0, 7)]


def test_like_finds_k_others_that_are_live(collection, opened):
    nearest = opened.search(like=20, k=5)["id"].to_pylist()
    remove(collection, ids=nearest[:4])
    again = opened.search(like=20, k=5)["id"].to_pylist()
    assert again[0] == nearest[4]
    assert len(again) == 5
    assert not set(again) & {*nearest[:4], 20}


def test_a_row_that_is_removed_during_a_search_is_not_described(collection, opened, monkeypatch):
    target = opened.search(like=20, k=3)["id"].to_pylist()[1]
    real = searcher.nearest

    def nearest(*arguments, **options):
        found = real(*arguments, **options)
        remove(collection, ids=[target])
        return found

    monkeypatch.setattr(searcher, "nearest", nearest)
    assert target not in opened.search(like=20, k=3)["id"].to_pylist()


def test_rows_vanish_while_threads_search(collection, opened):
    """Every answer is whole: of before or of after the removal."""
    vector = np.asarray(opened.vectors()[10], np.float32)
    before = tuple(opened.search(vector=vector, k=5)["id"].to_pylist())
    answers, stop = set(), threading.Event()

    def search():
        while not stop.is_set():
            answers.add(tuple(opened.search(vector=vector, k=5)["id"].to_pylist()))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    remove(collection, ids=[10])
    stop.set()
    for thread in threads:
        thread.join()
    after = tuple(opened.search(vector=vector, k=5)["id"].to_pylist())
    assert after[:4] == before[1:]
    shortened = before[1:]  # found before, described after
    assert answers <= {before, after, shortened}


def test_gold_is_of_live_rows_and_names_them(collection, tmp_path):
    store = Store(collection)
    queries = np.asarray(store.vectors("image"), np.float32)[[7, 8]]
    remove(collection, ids=[7])
    for device in (None, "cpu"):
        if device:
            pytest.importorskip("torch")
        gold(store, Queries(queries, {}), tmp_path / "g.h5", k=59, device=device)
        with h5py.File(tmp_path / "g.h5") as file:
            assert sorted(file["knns"][0]) == [i + 1 for i in range(60) if i != 7]
            assert file.attrs["rows"] == 59
            assert file.attrs["collection_checksum"] == store.checksum != store.manifest.checksum
        with pytest.raises(InvalidArgument, match=r"k is 60, .* has 59 rows"):
            gold(store, Queries(queries, {}), tmp_path / "g.h5", k=60, device=device)


def test_gold_of_rows_that_are_removed_meanwhile_is_refused(collection, tmp_path):
    store = Store(collection)
    queries = np.asarray(store.vectors("image"), np.float32)[:2]
    with pytest.raises(pairdex.PairdexError, match=r"rows were removed from .* meanwhile"):
        gold(
            store,
            Queries(queries, {}),
            tmp_path / "g.h5",
            k=5,
            progress=lambda *_: remove(collection, ids=[9]),
        )
    assert not (tmp_path / "g.h5").exists()


def test_the_device_finds_live_rows_in_every_block(collection, monkeypatch):
    pytest.importorskip("torch")

    monkeypatch.setattr(torch_device, "_ROW_BLOCK", 7)
    store = Store(collection)
    blocks, allowed = store.vectors("image").blocks, np.arange(60) % 3 > 0
    queries = np.asarray(store.vectors("image"), np.float32)
    found = torch_device.nearest_on_device(blocks, queries, 45, device="cpu", allowed=allowed)
    expected = cosine.nearest(blocks, queries, 45, allowed=allowed)
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.distances, expected.distances)


def test_parts_built_again_do_not_bring_rows_back(make_parts, tmp_path):
    collection = tmp_path / "c"
    pairdex.build(make_parts(10), collection)
    remove(collection, ids=[3, 4])
    report = pairdex.build(make_parts(10), collection)
    assert report.added == 0
    assert removed_ids(collection) == [3, 4]
    pairdex.build(make_parts(10, 5), collection)
    assert removed_ids(collection) == [3, 4]
    assert len(pairdex.open(collection)) == 13


# --- the command


def test_the_command_removes_and_says_what_it_did(run, collection, tmp_path):
    (tmp_path / "ids.txt").write_text("4\n9\n")
    shown = run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "takedown 17")
    assert shown.status == 0
    assert dict(line.split("  ", 1) for line in shown.out.splitlines())["removed"].strip() == "2"
    info = run("info", collection, "--json").json
    assert (info["rows"], info["removed"]) == (58, 2)
    assert "removed" not in run("info", collection).err
    assert any(
        line.split() == ["removed", "2"] for line in run("info", collection).out.splitlines()
    )
    assert run("verify", collection, "--json").json["damaged"] == []
    hits = run("search", collection, "--like", "3", "-k", "60", "--json").json["hits"]
    assert sorted(hit["id"] for hit in hits) == [i for i in range(60) if i not in (3, 4, 9)]
    assert "id 4 was removed" in run("search", collection, "--like", "4").complaint


def test_the_command_lists_urls_that_no_row_has(run, collection, tmp_path):
    (tmp_path / "urls.txt").write_text("https://example.org/0/5.jpg\nhttps://example.org/nowhere\n")
    arguments = ("remove", collection, "--urls", tmp_path / "urls.txt", "--reason", "t")
    told = run(*arguments, "--json").json
    assert told.pop("seconds") > 0
    assert told == {
        "removed": 1,
        "already": 0,
        "unknown": 1,
        "unknown_urls": ["https://example.org/nowhere"],
        "rows": 59,
    }
    assert "unknown: https://example.org/nowhere" in run(*arguments).out


def test_the_command_says_that_nothing_was_selected(run, collection):
    shown = run("remove", collection, "--where", "width > 9999", "--reason", "t")
    assert shown.status == 0
    assert shown.out.startswith("no row matches: nothing was removed\n")


def test_the_command_refuses_in_one_line(run, collection, tmp_path):
    (tmp_path / "ids.txt").write_text("4\n99\n")
    arguments = ("remove", collection, "--reason", "t")
    assert "id 99 is out of range" in run(*arguments, "--ids", tmp_path / "ids.txt").complaint
    assert "exactly one of --ids, --urls and --where" in run(*arguments).complaint
    assert run("remove", collection, "--where", "id = 1").status == 2
    assert not (collection / REMOVED).exists()


def test_results_of_a_search_with_a_file_leave_removed_rows_out(run, collection, tmp_path):
    queries = tmp_path / "q.npy"
    np.save(queries, np.asarray(pairdex.open(collection).vectors(), np.float32)[:3])
    assert len(read_queries(queries)) == 3
    remove(collection, ids=[0, 1, 2])
    run("search", collection, "--vectors", queries, "-k", "60", "--out", tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        assert not set(file["knns"][:].ravel()) & {1, 2, 3}
        assert file.attrs["size"] == 57
    run("search", collection, "--like", "5", "--out", tmp_path / "f.parquet")
    assert not set(pq.read_table(tmp_path / "f.parquet")["id"].to_pylist()) & {0, 1, 2}


def test_a_filter_that_is_none_is_refused(collection):
    with pytest.raises(InvalidPredicate):
        remove(collection, where="SELECT 1")
