"""A collection with all kinds of data, made by version 0.1.0, opens and answers as before.

`collection-0.1.0.json` holds the answers that version 0.1.0 gave.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import pairdex
from old_collections import unpack_old_collection
from pairdex.derived.kinds import KINDS

DATA = Path(__file__).parents[1] / "data"
QUERIES = {"image queries": ("image", 10, 15), "text queries": ("text", 20, 25)}
KEYS = (
    "name rows removed rows_read dropped dim metric vectors columns parts model filter origin bytes created_by "
    "indexes scores projections atlas"
)
ENTRIES = {
    "indexes": ["on kind bytes current", "on kind bytes current nlist asked on_disk"],
    "scores": ["name rows current head"],
    "projections": ["name kind method dim rows bytes current"],
    "atlas": ["on points seed rows regions bytes current"],
}
SPACES = ("image", "text", "pca32", "hamming")


@pytest.fixture(scope="module")
def answers():
    return json.loads((DATA / "collection-0.1.0.json").read_text())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The unpacked folder; after the tests of this file it must be unchanged."""
    folder = unpack_old_collection("0.1.0", tmp_path_factory.mktemp("old"))
    before = digests(folder)
    yield folder
    assert digests(folder) == before


@pytest.fixture(scope="module")
def old(unpacked):
    return pairdex.open(unpacked)


def digests(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_verify_finds_every_file_whole(unpacked):
    report = pairdex.verify(unpacked)
    assert report.damaged == []
    assert report.files == len(digests(unpacked)) - 1  # the manifest is read before all others


def test_info_lists_every_kind_of_derived_data_as_current(unpacked):
    facts = pairdex.info(unpacked)
    assert (facts.rows, facts.removed, len(facts.parts)) == (256, 3, 2)
    found = [(one.kind, one.name) for one in facts.derived]
    assert found == [
        ("codes", "image"),
        ("codes", "text"),
        ("ivf", "image"),
        ("ivf", "text"),
        ("keywords", "keywords"),
        ("urls", "urls"),
        ("score", "aesthetic"),
        ("projection", "pca32"),
        ("projection", "hamming"),
        ("atlas", "atlas"),
    ]
    later = {"graph"}  # kinds that the old release did not know
    assert {kind for kind, _ in found} == {kind.name for kind in KINDS} - later
    assert [one.name for one in facts.derived if not one.current] == []
    assert {one.rows for one in facts.derived} == {259}


def test_the_json_keys_of_info_have_not_changed(unpacked, run):
    facts = run("info", unpacked, "--json").json
    assert list(facts) == KEYS.split()
    entries = {name: {frozenset(one) for one in facts[name]} for name in ENTRIES if name != "atlas"}
    entries["atlas"] = {frozenset(facts["atlas"])}
    assert entries == {name: {frozenset(k.split()) for k in keys} for name, keys in ENTRIES.items()}
    shown = run("info", unpacked).out
    assert all(one.title in shown for one in pairdex.info(unpacked).derived)


def test_rows_and_columns_have_not_changed(old, answers):
    assert len(old) == answers["rows"]
    assert old.columns == answers["columns"]
    assert old.take([0, 201, 240]).to_pylist() == answers["rows taken"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("asked", QUERIES)
def test_the_nearest_rows_have_not_changed(old, answers, asked, space):
    on, first, end = QUERIES[asked]
    expected = answers[f"{asked} on {space}"]
    vectors = old.vectors(on)[first:end].astype(np.float32)
    ids, distances = old.nearest(vectors, k=5, on=space, exact=True)
    assert ids.tolist() == expected["ids"]
    np.testing.assert_allclose(distances, expected["distances"], rtol=1e-6, atol=1e-9)


def test_searches_with_keywords_and_filters_find_the_same_rows(old, answers):
    found = old.search(like=30, k=5, keywords="red")
    assert found["id"].to_pylist() == answers["keywords"]
    found = old.search(like=30, k=5, where="width >= 512 AND aesthetic > 5")
    assert found["id"].to_pylist() == answers["filtered"]


def test_urls_are_found_in_the_same_rows(old, answers):
    url = old.take([229], ["url"])["url"][0].as_py()
    assert old.find_urls([url]) == answers["urls"]
