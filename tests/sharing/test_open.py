"""Collections that are opened at an address: read-only, by what is needed, from a bounded cache."""

import pickle

import numpy as np
import pytest

import pairdex
from pairdex.errors import FetchFailed, InvalidArgument, UnsupportedFormat
from pairdex.sharing.cache import cache_folder
from pairdex.sharing.listing import LISTING

from .conftest import serve
from .test_hostile import added, relisted


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def asked(server):
    """The files that were asked for, without the list."""
    return {name.removeprefix("shared/") for name, _ in server.requests} - {LISTING}


def test_rows_are_read_without_vectors(published, server):
    url = serve(server, published.folder)
    with pairdex.open(url) as opened, pairdex.open(published.collection) as original:
        assert len(opened) == 60
        assert opened[5] == original[5]
        assert opened.take([59, 3]).equals(original.take([59, 3]))
        assert opened.columns == original.columns
        assert len(opened.search(where="width > 120", sort="width", k=5)) == 5
    assert asked(server) == {"collection.json", *(f"metadata/0000{i}.arrow" for i in range(3))}


def test_a_search_fetches_the_vectors_that_it_compares_and_answers_exactly(published, server):
    url = serve(server, published.folder)
    with pairdex.open(url) as opened, pairdex.open(published.collection) as original:
        query = original.vectors("text")[7]
        found = opened.nearest(query, 5, on="text", where="width > 102")
        wanted = original.nearest(query, 5, on="text", where="width > 102")
        assert found.ids.tolist() == wanted.ids.tolist()
        assert opened.search(like=3, on="text", k=4).ids.tolist() == (
            original.search(like=3, on="text", k=4).ids.tolist()
        )
    assert {name for name in asked(server) if name.startswith("text/")}
    assert not {name for name in asked(server) if name.startswith("image/")}


def test_what_was_fetched_is_not_asked_for_again(published, server):
    url = serve(server, published.folder)
    pairdex.open(url).vectors("image")
    server.requests.clear()
    np.testing.assert_array_equal(
        pairdex.open(url).vectors("image")[:],
        pairdex.open(published.collection).vectors("image")[:],
    )
    assert asked(server) == set()


def test_indexes_scores_and_projections_are_used_where_they_are_published(rich, server, tmp_path):
    pairdex.push(rich, f"file://{tmp_path}/shared")
    url = serve(server, tmp_path / "shared")
    with pairdex.open(url) as opened, pairdex.open(rich) as original:
        assert opened.projections == original.projections == ["pca32"]
        assert not any(name.endswith(".npy") for name in asked(server))
        query = original.vectors("image")[7]
        assert opened.nearest(query, 5).ids.tolist() == original.nearest(query, 5).ids.tolist()
        hits = opened.search("a red circle", keywords="red", k=3)
        assert (
            hits.ids.tolist() == original.search("a red circle", keywords="red", k=3).ids.tolist()
        )
        assert opened.search(like=3, on="pca32", k=3).ids.tolist() == (
            original.search(like=3, on="pca32", k=3).ids.tolist()
        )
    assert "indexes/text/codes" not in asked(server)
    assert any(name.startswith("indexes/keywords/") for name in asked(server))
    assert not any(name.startswith("atlas") for name in asked(server))


def test_published_codes_are_used(published, server):
    with pairdex.open(published.collection) as original:
        original.prepare("image")
        original.prepare("text")
    published.push()
    with pairdex.open(serve(server, published.folder)) as opened:
        opened.nearest(opened.vectors("image")[3], 2)
        assert opened.is_prepared("image")
    assert "indexes/image/codes" in asked(server)
    assert "indexes/text/codes" not in asked(server)


def test_removed_rows_are_not_found(published):
    pairdex.remove(published.collection, where="width < 103", reason="takedown 1")
    published.push()
    with pairdex.open(published.url) as opened:
        assert len(opened) == 60 - 9
        assert 0 not in opened


def test_reopening_shows_the_version_of_then_and_fetches_only_what_changed(
    published, server, make_parts, build
):
    url = serve(server, published.folder)
    opened = pairdex.open(url)
    opened.vectors("image")
    build(make_parts(30, 10, 20, 5), published.collection)
    published.push()
    serve(server, published.folder)
    server.requests.clear()
    newer = opened.reopened()
    assert (len(opened), len(newer)) == (60, 65)
    newer.vectors("image")
    new = {name for name in asked(server) if not name.startswith("collection.json")}
    assert new == {"metadata/00003.arrow", "image/00003.npy"}


def test_it_is_pickled_as_its_address(published):
    with pairdex.open(published.url, cache="1GB") as opened:
        assert repr(opened) == f"<Collection {published.url}: 60 rows of 8 dimensions>"
        again = pickle.loads(pickle.dumps(opened))
        assert again[5] == opened[5]
    assert repr(opened) == f"<Collection {published.url}: closed>"


@pytest.mark.parametrize(
    "work",
    [
        lambda opened: pairdex.remove(opened, ids=[1], reason="ours"),
        pairdex.index,
        pairdex.verify,
        lambda opened: opened.sql("SELECT 1"),
        lambda opened: opened.info(),
        lambda opened: opened.path,
        lambda opened: list(opened.examples("embeddings")),
    ],
)
def test_what_needs_the_folder_is_refused_in_one_line(published, work):
    with (
        pairdex.open(published.url) as opened,
        pytest.raises(InvalidArgument, match=r"opened read-only from file://.*pairdex pull"),
    ):
        work(opened)


def test_the_cache_is_bounded(published, tmp_path, make_parts, build):
    size = sum(path.stat().st_size for path in published.folder.rglob("*.arrow"))
    with pytest.raises(InvalidArgument, match=r"needs .* bytes of the cache, its limit is 5,000"):
        pairdex.open(published.url, cache=5000)
    for number in range(3):
        build(make_parts(30, folder=f"p{number}", numbers=[number]), tmp_path / f"c{number}")
        pairdex.push(tmp_path / f"c{number}", f"file://{tmp_path}/s{number}")
        pairdex.open(f"file://{tmp_path}/s{number}", cache=size).close()
    kept = sum(path.stat().st_size for path in cache_folder().rglob("*") if path.is_file())
    assert 0 < kept <= size


def test_a_version_that_is_open_stays_in_the_cache(published, tmp_path, make_parts, build):
    build(make_parts(30, folder="p"), tmp_path / "other")
    pairdex.push(tmp_path / "other", f"file://{tmp_path}/s")
    with pairdex.open(published.url) as opened:
        with pairdex.open(f"file://{tmp_path}/s", cache="20KB"):
            pass
        assert len(opened.vectors("image")) == 60


def test_a_list_made_to_do_harm_is_refused_as_by_a_pull(published, tmp_path):
    relisted(published, added(path="../outside.npy"))
    with pytest.raises(UnsupportedFormat, match="does not stay in its folder"):
        pairdex.open(published.url)
    with pytest.raises(FetchFailed, match="holds no published collection"):
        pairdex.open(f"file://{tmp_path}/nowhere")


def test_wrong_bytes_do_not_get_into_the_cache(published):
    path = published.folder / "image/00001.npy"
    path.write_bytes(bytes(path.stat().st_size))
    with pairdex.open(published.url) as opened:
        with pytest.raises(FetchFailed, match=r"image/00001.npy: .* twice"):
            opened.vectors("image")
        assert len(opened.vectors("text")) == 60


def test_the_folder_of_the_cache_is_private(published):
    pairdex.open(published.url).close()
    assert cache_folder().stat().st_mode & 0o077 == 0
