"""Projections are opened if they are undamaged and current, refused by name otherwise, listed and verified."""

import json

import numpy as np
import pytest

import pairdex
from pairdex.derived.projections.files import find_projections, open_projection
from pairdex.derived.projections.write import project_collection
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile, UnsupportedFormat
from pairdex.store.store import Store


@pytest.fixture
def folder(collection):
    project_collection(collection, "pca3")
    return collection / "projections/pca3"


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_collection_without_projections_says_what_to_run(collection):
    assert find_projections(Store(collection)) == []
    with pytest.raises(MissingFile, match=r"has no projection pca32 \(it has none\); make it with"):
        open_projection(Store(collection), "pca32")
    project_collection(collection, "pca3")
    with pytest.raises(MissingFile, match=r"\(it has pca3\)"):
        open_projection(Store(collection), "pca32")


def test_projections_are_listed_by_kind_and_size(collection):
    for name in ("pca5", "pca3"):
        project_collection(collection, name)
    assert find_projections(Store(collection)) == ["pca3", "pca5"]


def test_an_unfinished_projection_is_not_listed(collection, folder):
    (folder / "projection.json").unlink()
    assert find_projections(Store(collection)) == []
    with pytest.raises(MissingFile):
        open_projection(Store(collection), "pca3")


@pytest.mark.parametrize("name", ["00001.npy", "model.h5"])
def test_a_missing_or_truncated_file_is_an_error_that_names_it(collection, folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    with pytest.raises(DamagedFile, match=rf"{name} is damaged: it has .* bytes, expected"):
        open_projection(Store(collection), "pca3")
    (folder / name).unlink()
    with pytest.raises(DamagedFile, match=rf"{name} is damaged: it is missing"):
        open_projection(Store(collection), "pca3")


def test_opening_detects_a_flipped_byte_in_the_model(collection, folder):
    flip(folder / "model.h5", -1)
    with pytest.raises(DamagedFile, match=r"model\.h5 is damaged: its checksum does not match"):
        open_projection(Store(collection), "pca3")


def test_opening_detects_a_flipped_byte_in_the_manifest(collection, folder):
    path = folder / "projection.json"
    path.write_text(path.read_text().replace('"rows": 30', '"rows": 31'))
    with pytest.raises(DamagedFile, match=r"projection\.json is damaged: its checksum"):
        open_projection(Store(collection), "pca3")
    path.write_text(json.dumps({"format": "pairdex-projection", "version": 9}))
    with pytest.raises(UnsupportedFormat, match="version 9, this release reads version 1"):
        open_projection(Store(collection), "pca3")


@pytest.mark.parametrize("name", ["00002.npy", "model.h5", "projection.json"])
def test_verify_finds_a_flipped_byte_in_any_file(collection, folder, run, name):
    assert pairdex.verify(collection).damaged == []
    flip(folder / name, -3)
    out = run("verify", collection, "--json")
    assert out.json["damaged"][0]["file"] == f"projections/pca3/{name}"
    assert "run pairdex project" in out.complaint


def test_the_recorded_checksums_match_the_files(collection, folder):
    record = json.loads((folder / "projection.json").read_text())
    assert [file["rows"] for file in record["files"]] == [30, 10, 20]
    for file in record["files"]:
        path = folder / file["path"]
        assert path.stat().st_size == file["bytes"]
    images = sorted((collection / "image").iterdir())
    manifest = json.loads((collection / "collection.json").read_text())
    sources = [part["files"]["image"]["checksum"] for part in manifest["parts"]]
    assert [file["source"] for file in record["files"]] == sources
    assert len(images) == 3


def test_vectors_of_another_dimension_are_refused(collection, folder):
    projection = open_projection(Store(collection), "pca3")
    with pytest.raises(Mismatch, match=r"shape \(2, 5\), the model of pca3 expects \(n, 8\)"):
        projection.apply(np.ones((2, 5), np.float32))


def test_info_lists_projections_and_whether_they_are_current(
    collection, folder, run, make_parts, build
):
    (listed,) = run("info", collection, "--json").json["projections"]
    assert (listed["name"], listed["kind"], listed["dim"], listed["rows"]) == ("pca3", "pca", 3, 60)
    assert listed["current"]
    build(make_parts(25, folder="more", numbers=[7]), collection)
    assert not run("info", collection, "--json").json["projections"][0]["current"]
    shown = run("info", collection).out
    assert "pca3 (out of date)" in shown
    assert (
        f"pca3: searches do not use it; pairdex project {collection} pca3 makes it again" in shown
    )


def test_an_unknown_name_is_refused(collection):
    with pytest.raises(InvalidArgument, match="the projection is 'sift', expected pcaN"):
        open_projection(Store(collection), "sift")
