"""Rows by exact URL, in every part, without removed rows."""

import pytest

import pairdex
from pairdex.derived.lookups import urls as urls_module
from pairdex.errors import DamagedFile, InvalidArgument

URLS = {0: ["http://a/1", "http://a/2", None, " http://a/3 "], 1: ["http://a/1", "HTTP://A/1", ""]}


@pytest.fixture
def made(make_parts, build, tmp_path):
    build(make_parts(4, 3, columns=lambda n, _: {"url": URLS[n]}), tmp_path / "c")
    return pairdex.open(tmp_path / "c")


def test_all_rows_of_each_url_are_found_in_the_order_of_the_urls(made):
    found = made.find_urls(["http://a/2", "http://a/1", "nope", " http://a/3", "HTTP://A/1"])
    assert found == [[1], [0, 4], [], [3], [5]]
    assert made.find_urls([]) == []
    assert made.find_urls([""]) == [[6]]


@pytest.mark.parametrize(
    "url", ["http://a/1' OR '1'='1", "%", "http://a/_", "http://a/1\0", "\ud800"]
)
def test_a_url_is_neither_a_pattern_nor_sql(made, url):
    assert made.find_urls([url]) == [[]]


def test_removed_rows_are_not_found(made, run):
    assert made.find_urls(["http://a/1"]) == [[0, 4]]
    assert run("remove", made.path, "--where", "id = 0", "--reason", "test").status == 0
    assert made.find_urls(["http://a/1"]) == [[4]]


def test_urls_with_equal_hashes_are_distinguished(made, monkeypatch):
    monkeypatch.setattr(urls_module, "_hash", len)
    assert made.find_urls(["http://a/2", "http://a/9"]) == [[1], []]


def test_a_damaged_table_is_an_error_and_a_missing_one_is_built_again(made):
    made.find_urls([])
    path = made.path / "indexes" / "urls" / "00000"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(DamagedFile, match="urls/00000 is damaged"):
        pairdex.open(made.path).find_urls(["http://a/1"])
    path.unlink()
    assert pairdex.open(made.path).find_urls(["http://a/1"]) == [[0, 4]]
    assert path.read_bytes() == whole


def test_urls_are_found_while_another_process_writes(made, caplog):
    from pairdex.files import lock

    with lock.writing(made.path):
        assert made.find_urls(["http://a/1"]) == [[0, 4]]
    assert "urls cannot be saved, so they are built in memory" in caplog.text
    assert not (made.path / "indexes").exists()


def test_a_collection_without_urls_is_an_error(make_parts, build, tmp_path):
    build(make_parts(2, columns={"caption": ["a", "b"]}), tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has no column url; it has caption"):
        pairdex.open(tmp_path / "c").find_urls(["a"])
