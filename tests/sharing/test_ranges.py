"""Published collections read by ranges: few bytes for few rows, each block once, each verified."""

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import pairdex
from conftest import laion_columns, save_part, unit_rows
from fault_server import Fault
from pairdex.errors import DamagedFile, FetchFailed
from pairdex.files import sealed_json
from pairdex.ivf.search import Plan
from pairdex.sharing import block_sums
from pairdex.sharing.cache import cache_folder
from pairdex.sharing.listing import LISTING, parse_listing
from pairdex.store.ranged_vectors import RangedVectors

from .conftest import serve

ROWS, DIM, BLOCK = 20_000, 16, 4096


@pytest.fixture(scope="module")
def wide_original(tmp_path_factory):
    """40,000 rows in two parts with an index, pushed with small blocks; tests only read it."""
    root = tmp_path_factory.mktemp("wide")
    for number in range(2):
        image, text = (unit_rows(ROWS, DIM, seed=2 * number + kind) for kind in (0, 1))
        save_part(root / "parts", number, image, text, laion_columns(number, ROWS))
    pairdex.build(root / "parts", root / "collection")
    pairdex.index(root / "collection", nlist=64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(block_sums, "_BLOCK_BYTES", BLOCK)
        patched.setattr(block_sums, "_FROM_BYTES", 1 << 16)
        pairdex.push(root / "collection", f"file://{root}/published")
    return root


@pytest.fixture
def wide(wide_original, server, tmp_path, monkeypatch):
    """That collection on a web server, a cache of the test's own, and the bytes that were sent."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = serve(server, wide_original / "published")
    original = pairdex.open(wide_original / "collection")

    def sent(part=""):
        asked = [(name, headers) for name, headers in server.requests if part in name]
        server.requests.clear()
        return sum(_length(server.files[name].data, headers) for name, headers in asked)

    return SimpleNamespace(url=url, original=original, sent=sent, server=server)


def _length(data, headers):
    asked = headers.get("Range")
    if asked is None:
        return len(data)
    first, last = asked.removeprefix("bytes=").split("-")
    return min(len(data), int(last) + 1 if last else len(data)) - int(first)


def test_a_row_costs_few_blocks_of_its_part(wide):
    with pairdex.open(wide.url) as opened:
        wide.sent()
        assert opened[30_000] == wide.original[30_000]
        names = {name for name, _ in wide.server.requests}
        assert names == {"shared/metadata/00001.arrow", "shared/blocks/metadata/00001.arrow"}
        assert (
            wide.sent() < 60 * BLOCK < 0.2 * wide.original.manifest.parts[1].files["metadata"].bytes
        )
        assert opened[30_000] == wide.original[30_000]
        assert opened.values([30_000]) == wide.original.values([30_000])
        assert wide.sent() == 0


def test_rows_of_both_parts_and_whole_tables_are_the_same(wide):
    ids = [39_999, 0, 17_000, 20_000, 5]
    with pairdex.open(wide.url) as opened:
        assert opened.take(ids).equals(wide.original.take(ids))
        assert opened.take(ids, ["width", "caption"]).equals(
            wide.original.take(ids, ["width", "caption"])
        )
        assert opened[19_000:21_000].equals(wide.original[19_000:21_000])
        assert list(opened)[:3] == list(wide.original)[:3]


def test_a_filter_fetches_the_columns_that_it_names(wide):
    whole = sum(part.files["metadata"].bytes for part in wide.original.manifest.parts)
    where = "width > 19000"
    with pairdex.open(wide.url) as opened:
        wide.sent()
        found = opened.nearest(wide.original.vectors()[7], 3, where="id < 3 AND " + where)
        assert 0 < wide.sent("metadata/") < 0.2 * whole
        assert (found.ids == -1).all()
        found = opened.search(where=where, sort="height", k=5)
        assert found.ids.tolist() == (
            wide.original.search(where=where, sort="height", k=5).ids.tolist()
        )


def test_vectors_cost_the_blocks_that_they_lie_in(wide):
    with pairdex.open(wide.url) as opened:
        vectors, wanted = opened.vectors(), wide.original.vectors()
        wide.sent()
        np.testing.assert_array_equal(vectors[[5, 39_000]], wanted[[5, 39_000]])
        np.testing.assert_array_equal(vectors[19_990:20_010], wanted[19_990:20_010])
        assert wide.sent("image/") <= 8 * BLOCK + 2 * 16 * 160


def test_a_search_of_few_rows_fetches_only_them(wide):
    query = wide.original.vectors("text")[7]
    with pairdex.open(wide.url) as opened:
        wide.sent()
        found = opened.nearest(query, 5, on="text", where="id BETWEEN 100 AND 160")
        wanted = wide.original.nearest(query, 5, on="text", where="id BETWEEN 100 AND 160")
        assert found.ids.tolist() == wanted.ids.tolist()
        assert found.distances.tolist() == wanted.distances.tolist()
        assert wide.sent("text/") < 12 * BLOCK
        assert len(opened.nearest(query, 5, on="text", where="id < 0").ids) == 5


def test_a_search_by_the_index_fetches_the_rows_that_it_compares(wide):
    queries = np.array(wide.original.vectors()[[7, 25_000]], np.float32) + 0.01
    with pairdex.open(wide.url) as opened:
        index, points = opened.index()
        wanted, _ = wide.original.index()
        effort = points.efforts["own"][10][-1]
        wide.sent()
        found = index.search(queries, 10, Plan(effort, effort))
        same = wanted.search(queries, 10, Plan(effort, effort))
        assert found.ids.tolist() == same.ids.tolist()
        assert found.distances.tolist() == same.distances.tolist()
        assert wide.sent("image/") > 0
        assert not opened.vectors().is_whole


def test_a_failed_fetch_ends_a_search_by_the_index(wide):
    queries = np.array(wide.original.vectors()[[7]], np.float32)
    with pairdex.open(wide.url) as opened:
        index, points = opened.index()
        effort = points.efforts["own"][10][0]
        for name in ("shared/image/00000.npy", "shared/image/00001.npy"):
            del wide.server.files[name]
        with pytest.raises(FetchFailed, match="not there any more"):
            index.search(queries, 10, Plan(effort, effort))


def test_a_damaged_block_is_named_and_the_others_are_read(wide, monkeypatch):
    name = "shared/image/00000.npy"
    data = bytearray(wide.server.files[name].data)
    data[10 * BLOCK + 7] ^= 1
    wide.server.files[name].data = bytes(data)
    per_block = BLOCK // (2 * DIM)
    with pairdex.open(wide.url) as opened:
        np.testing.assert_array_equal(opened.vectors()[5], wide.original.vectors()[5])
        with pytest.raises(
            FetchFailed,
            match=r"image/00000.npy of http://.*: the bytes 40,960 to 45,055 differ .*, twice",
        ):
            opened.vectors()[10 * per_block]
        row = 20 * per_block
        np.testing.assert_array_equal(opened.vectors()[row], wide.original.vectors()[row])


def test_wrong_checksums_of_blocks_are_not_believed(wide):
    wide.server.files["shared/blocks/image/00000.npy"].data = bytes(16)
    with pairdex.open(wide.url) as opened, pytest.raises(FetchFailed, match="differs from its"):
        opened.vectors()[5]


def test_a_server_without_ranges_sends_each_file_whole_once(wide, caplog):
    for served in wide.server.files.values():
        served.faults.extend(Fault(ignore_range=True) for _ in range(9))
    with caplog.at_level(logging.WARNING), pairdex.open(wide.url) as opened:
        assert opened[30_000] == wide.original[30_000]
        np.testing.assert_array_equal(opened.vectors()[33_000], wide.original.vectors()[33_000])
        wide.server.requests.clear()
        assert opened[20_001] == wide.original[20_001]
        assert wide.server.requests == []
    assert "sends no ranges: fetching image/00001.npy whole, 640,128 bytes" in caplog.text


def test_a_broken_connection_goes_on_behind_the_blocks_that_came(wide, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    served = wide.server.files["shared/image/00000.npy"]
    with pairdex.open(wide.url) as opened:
        vectors = opened.vectors()
        vectors[5]
        served.faults.append(Fault(break_after=3 * BLOCK + 100))
        wide.sent()
        np.testing.assert_array_equal(vectors[:20_000], wide.original.vectors()[:20_000])
        starts = [
            int(headers["Range"].removeprefix("bytes=").split("-")[0])
            for name, headers in wide.server.requests
            if name == "shared/image/00000.npy"
        ]
        assert starts == [BLOCK, 4 * BLOCK]


def test_each_block_is_fetched_once_by_many_threads_and_collections(wide):
    ids = np.arange(0, 40_000, 500)

    def read(_):
        with pairdex.open(wide.url) as opened:
            return opened.vectors()[ids]

    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(read, range(6)):
            np.testing.assert_array_equal(found, wide.original.vectors()[ids])
    ranges = [
        (name, headers["Range"])
        for name, headers in wide.server.requests
        if "Range" in headers and "/blocks/" not in name
    ]
    assert len(ranges) == len(set(ranges)) > 10


def test_a_reader_killed_between_blocks_costs_what_was_on_its_way(wide):
    code = f"""
import os, signal, pairdex
from pairdex.sharing.block_file import BlockFile
keep, seen = BlockFile.keep, []
def counting(self, number, data):
    seen.append(number)
    if len(seen) > 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return keep(self, number, data)
BlockFile.keep = counting
vectors = pairdex.open({wide.url!r}).vectors()
vectors[0], vectors[200:4000], vectors[5000:15000]
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    wide.sent()
    with pairdex.open(wide.url) as opened:
        np.testing.assert_array_equal(opened.vectors()[:20_000], wide.original.vectors()[:20_000])
    assert wide.sent("image/00000.npy") < 20_000 * 2 * DIM - 25 * BLOCK


def test_whole_files_are_completed_from_their_blocks(wide):
    seen = []
    with pairdex.open(wide.url, progress=lambda *done: seen.append(done)) as opened:
        first = opened.vectors()[5]
        wide.sent()
        np.testing.assert_array_equal(opened.vectors().blocks[0][5], first)
        assert opened.vectors().is_whole
        assert wide.sent("image/00000.npy") < 20_000 * 2 * DIM
        (version,) = cache_folder().glob("*/*")
        whole = (version / "image/00000.npy").read_bytes()
        assert whole == wide.server.files["shared/image/00000.npy"].data
    assert seen[-1][0] == "fetching"
    with pairdex.open(wide.url) as opened:
        assert not isinstance(opened.vectors(), RangedVectors)


def test_a_later_version_uses_the_blocks_of_the_earlier_one(wide):
    first = pairdex.open(wide.url)
    first.vectors()[5], first[5]
    listing = json.loads(wide.server.files[f"shared/{LISTING}"].data)
    content = {key: value for key, value in listing.items() if key != "checksum"}
    content["created_by"] = "a later push"
    wide.server.put(f"shared/{LISTING}", sealed_json.sealed(content), etag='"2"')
    wide.sent()
    later = first.reopened()
    later.vectors()[5], later[5]
    assert len(list(cache_folder().glob("*/*"))) == 2
    assert wide.sent("image/0") == wide.sent("metadata/0") == 0


def test_a_publication_without_checksums_of_blocks_is_read_whole(wide):
    listing = json.loads(wide.server.files[f"shared/{LISTING}"].data)
    content = {key: listing[key] for key in listing if key not in ("blocks", "checksum")}
    wide.server.put(f"shared/{LISTING}", sealed_json.sealed(content), etag='"2"')
    with pairdex.open(wide.url) as opened:
        assert opened[5] == wide.original[5]
        assert not any("Range" in headers for _, headers in wide.server.requests)
        assert not any("/blocks/" in name for name, _ in wide.server.requests)


@pytest.mark.parametrize(
    "change",
    [{"object": "../outside"}, {"block_bytes": 1}, {"checksum": "x"}, {"block_bytes": 1 << 40}],
)
def test_checksums_of_blocks_that_no_push_writes_are_refused(wide, change):
    listing = json.loads(wide.server.files[f"shared/{LISTING}"].data)
    content = {key: value for key, value in listing.items() if key != "checksum"}
    content["blocks"]["image/00000.npy"].update(change)
    with pytest.raises((DamagedFile, pairdex.errors.UnsupportedFormat)):
        parse_listing(sealed_json.sealed(content), wide.url)


def test_a_push_renews_the_checksums_of_changed_files_only(
    published, make_parts, build, monkeypatch
):
    monkeypatch.setattr(block_sums, "_FROM_BYTES", 1)
    first = published.push()
    assert first.sent == 0
    assert published.push().sent == 0
    blocks = parse_listing((published.folder / LISTING).read_bytes(), "here").blocks
    build(make_parts(30, 10, 20, 5), published.collection)
    published.push()
    later = parse_listing((published.folder / LISTING).read_bytes(), "here")
    kept = [path for path in blocks if later.blocks[path] == blocks[path]]
    assert sorted(set(blocks) - set(kept)) == ["collection.json"]
    assert {"image/00003.npy", "text/00003.npy", "metadata/00003.arrow"} <= later.blocks.keys()
    assert blocks["collection.json"].object in later.retired
    build(make_parts(30, 10, 20, 5, 3), published.collection)
    published.push()
    assert not (published.folder / blocks["collection.json"].object).exists()


def test_rows_are_read_by_ranges_from_a_bucket(wide_original, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairdex.push(wide_original / "collection", f"{bucket.url}/c")
    with (
        pairdex.open(f"{bucket.url}/c") as opened,
        pairdex.open(wide_original / "collection") as original,
    ):
        assert opened[30_000] == original[30_000]
        (version,) = cache_folder().glob("*/*")
        assert (version / ".blocks/metadata/00001.arrow").exists()
        assert not (version / "metadata/00001.arrow").exists()
