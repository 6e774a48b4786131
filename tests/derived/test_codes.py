"""Codes are made once, match the current vectors, and change no answer."""

import logging

import numpy as np
import pytest

import pairdex
from pairdex.derived.codes import codes_path, find_codes, open_or_build_codes
from pairdex.errors import DamagedFile
from pairdex.files import lock
from pairdex.store.store import Store

QUERY = np.eye(1, 8, dtype=np.float32)


def test_the_first_search_makes_the_codes_and_later_ones_use_them(collection):
    path = codes_path(collection, "image")
    assert not path.exists()
    first = pairdex.open(collection).nearest(QUERY, 5)
    made = path.stat().st_mtime_ns
    again = pairdex.open(collection).nearest(QUERY, 5)
    assert path.stat().st_mtime_ns == made
    assert again.report.scanned > 0
    np.testing.assert_array_equal(first.ids, again.ids)


def test_a_search_without_codes_finds_the_same_and_writes_nothing(collection, tree):
    before = tree(collection)
    plain = pairdex.open(collection, use_codes=False).nearest(QUERY, 60)
    assert tree(collection) == before
    by_codes = pairdex.open(collection).nearest(QUERY, 60)
    np.testing.assert_array_equal(plain.ids, by_codes.ids)
    np.testing.assert_array_equal(plain.distances, by_codes.distances)
    assert (plain.report.scanned, by_codes.report.scanned > 0) == (0, True)


def test_codes_of_both_kinds_of_vectors_are_stored_separately(collection):
    opened = pairdex.open(collection)
    opened.nearest(QUERY, 1, on="text")
    opened.nearest(QUERY, 1, on="image")
    assert codes_path(collection, "text").is_file()
    assert codes_path(collection, "image").is_file()


def test_codes_are_made_again_after_parts_are_added(collection, make_parts, build):
    pairdex.open(collection).nearest(QUERY, 1)
    build(make_parts(25, folder="more", numbers=[7]), collection)
    store = Store(collection)
    assert find_codes(store, "image") is None
    found = pairdex.open(collection).nearest(QUERY, 85)
    assert set(found.ids[0].tolist()) == set(range(85))
    assert find_codes(store, "image") is not None


def test_a_reader_of_the_previous_version_searches_without_codes(
    collection, make_parts, build, caplog
):
    old = pairdex.open(collection)
    build(make_parts(25, folder="more", numbers=[7]), collection)
    with caplog.at_level(logging.WARNING, "pairdex.derived.codes"):
        found = old.nearest(QUERY, 85)
    assert (found.ids[0] >= 0).sum() == 60
    assert "has changed since it was opened" in caplog.text


def test_while_another_process_writes_searches_run_without_codes_and_warn(collection, caplog):
    with lock.writing(collection), caplog.at_level(logging.WARNING, "pairdex.derived.codes"):
        ids, _ = pairdex.open(collection).nearest(QUERY, 3)
    assert (ids >= 0).all()
    assert "searching without codes" in caplog.text
    assert not codes_path(collection, "image").exists()


def test_damaged_codes_are_an_error_that_names_the_file(collection):
    store = Store(collection)
    open_or_build_codes(store, "image")
    path = codes_path(collection, "image")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=str(path)):
        open_or_build_codes(store, "image")


def test_verify_finds_a_flipped_byte_in_the_codes(collection, run):
    open_or_build_codes(Store(collection), "image")
    path = codes_path(collection, "image")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    out = run("verify", collection, "--json")
    assert out.json["damaged"][0]["file"] == "indexes/image/codes"
    assert "delete it; the next search builds it again" in out.complaint


def test_info_lists_codes_and_whether_they_are_current(collection, make_parts, build, run):
    open_or_build_codes(Store(collection), "text")
    build(make_parts(25, folder="more", numbers=[7]), collection)
    indexes = run("info", collection, "--json").json["indexes"]
    assert [(index["on"], index["kind"], index["current"]) for index in indexes] == [
        ("text", "codes", False)
    ]


def test_an_empty_collection_needs_no_codes(make_parts, build, tmp_path):
    build(make_parts(5), tmp_path / "c", where="false")
    ids, _ = pairdex.open(tmp_path / "c").nearest(QUERY, 2)
    assert ids.tolist() == [[-1, -1]]
    assert not codes_path(tmp_path / "c", "image").exists()
