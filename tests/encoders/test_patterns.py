"""Several files named at once."""

import pytest

from pairdex.encoders.patterns import local_places
from pairdex.errors import InvalidArgument, MissingFile


def test_braces_give_ranges_with_their_zeros_and_choices(tmp_path):
    found = local_places(f"{tmp_path}/{{08..11}}-{{a,b}}.tar")
    assert [path.name for path in found] == [
        f"{number}-{letter}.tar" for number in ("08", "09", "10", "11") for letter in "ab"
    ]


def test_stars_give_the_files_there_are(tmp_path):
    for name in ("b.tar", "a.tar", "c.txt"):
        (tmp_path / name).touch()
    assert local_places(f"{tmp_path}/*.tar") == [tmp_path / "a.tar", tmp_path / "b.tar"]
    with pytest.raises(MissingFile, match="fits no file"):
        local_places(f"{tmp_path}/*.jpg")


def test_a_file_whose_own_name_has_braces_is_that_file(tmp_path):
    path = tmp_path / "a{1..3}[b].tar"
    path.touch()
    assert local_places(path) == [path]


def test_home_and_file_addresses_are_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_places("~/x") == [tmp_path / "x"]
    assert local_places(f"file://{tmp_path}/a%20b") == [tmp_path / "a b"]


@pytest.mark.parametrize("place", ["s3://bucket/a.tar", "hf://datasets/o/r", "https://e.org/a.tar"])
def test_places_on_other_machines_are_refused(place):
    with pytest.raises(InvalidArgument, match="is not on this machine; copy it here first"):
        local_places(place)


def test_a_range_of_too_many_files_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="names more than 1,000,000 files"):
        local_places(f"{tmp_path}/{{0..9999999}}.tar")
