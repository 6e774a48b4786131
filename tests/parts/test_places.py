"""Places as people write them: read where they are on this machine, named where they are not."""

from pathlib import Path

import pytest

from pairdex.errors import InvalidArgument
from pairdex.parts.places import local_place


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("parts", "parts"),
        (Path("/a/b"), "/a/b"),
        ("file:///a/b%20c", "/a/b c"),
        ("file:/a/b", "/a/b"),
        (Path("file:///a/b"), "/a/b"),
    ],
)
def test_places_on_this_machine_are_paths(place, path):
    assert local_place(place) == Path(path)


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert local_place("~/parts") == Path("/home/somebody/parts")


@pytest.mark.parametrize(
    ("place", "way"),
    [
        ("s3://bucket/parts", "aws s3 sync"),
        (Path("s3://bucket/parts"), "aws s3 sync"),
        ("hf://datasets/a/b", "hf download"),
        ("gs://bucket", "gcloud storage rsync"),
        ("https://example.org/parts", "pairdex fetch"),
        ("ftp://example.org/parts", "a program that reads it"),
    ],
)
def test_places_elsewhere_are_named_with_the_way_to_fetch_them(place, way):
    with pytest.raises(
        InvalidArgument, match=rf"on another machine.*fetch it first \({way}"
    ) as got:
        local_place(place, field="metadata")
    assert got.value.field == "metadata"


def test_a_folder_that_looks_like_a_remote_place_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s3:/bucket").mkdir(parents=True)
    assert local_place("s3:/bucket") == Path("s3:/bucket")


def test_the_command_says_that_metadata_is_elsewhere(run, tmp_path):
    target = "s3:/bucket/collection"  # as a path is written
    complaint = run("build", tmp_path, target).complaint
    assert "is on another machine, pairdex reads folders of this one: fetch it first" in complaint
