"""A folder of drawn pictures appears whole, depends only on the seed, and never replaces other files."""

import os

import pytest
from PIL import Image

from full_disk import small_files
from pairdex.demo.pictures import MAX_COUNT, draw_pictures
from pairdex.encoders.folder import list_pictures
from pairdex.errors import InvalidArgument, WriteFailed


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pictures"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_n_pictures_are_drawn_each_with_a_caption(folder):
    calls = []
    draw_pictures(folder, count=120, seed=3, progress=lambda *call: calls.append(call))
    listed = list_pictures(folder)
    assert len(listed.pictures) == 120
    assert all(picture.caption for picture in listed.pictures)
    assert listed.columns == ("things", "colours", "place", "layout")
    with Image.open(folder / "00119.jpg") as picture:
        assert picture.size == (192, 192)
    assert calls == [(50, 120), (100, 120), (120, 120)]


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw_pictures(tmp_path / name, count=10, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_more_pictures_begin_with_the_same(tmp_path):
    draw_pictures(tmp_path / "few", count=5)
    draw_pictures(tmp_path / "more", count=8)
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    del few["captions.tsv"]
    assert few.items() <= more.items()


def test_a_second_call_draws_nothing(folder):
    draw_pictures(folder, count=10)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    draw_pictures(folder, count=10, progress=lambda *_: pytest.fail("drawn again"))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("options", [{"count": 11}, {"count": 10, "seed": 9}])
def test_a_folder_with_other_pictures_is_refused_and_unchanged(folder, options):
    draw_pictures(folder, count=10)
    before = contents(folder)
    with pytest.raises(InvalidArgument, match="contains other files; name a new folder"):
        draw_pictures(folder, **options)
    assert contents(folder) == before


def test_an_empty_folder_is_filled(folder):
    folder.mkdir()
    draw_pictures(folder, count=2)
    assert len(contents(folder)) == 3


def test_an_interrupted_call_leaves_nothing_and_the_next_completes(folder):
    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    with pytest.raises(Interrupted):
        draw_pictures(folder, count=60, progress=interrupt)
    assert list(folder.parent.iterdir()) == []
    draw_pictures(folder, count=60)
    assert len(contents(folder)) == 61


def test_files_left_by_a_killed_call_are_deleted(folder):
    left = folder.with_name(".pictures.partial")
    left.mkdir()
    (left / "99999.jpg").write_bytes(b"half")
    draw_pictures(folder, count=2)
    assert sorted(contents(folder)) == ["00000.jpg", "00001.jpg", "captions.tsv"]
    assert not left.exists()


def test_a_full_disk_ends_in_one_line_and_leaves_nothing(folder):
    with (
        small_files(2_000),
        pytest.raises(WriteFailed, match=r"cannot write .*pictures: .*; free space"),
    ):
        draw_pictures(folder, count=5)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WriteFailed, match="cannot write"):
        draw_pictures(tmp_path / "pictures", count=1)


@pytest.mark.parametrize("count", [0, -1, MAX_COUNT + 1])
def test_a_count_out_of_range_is_refused(folder, count):
    with pytest.raises(InvalidArgument, match="expected 1 to 1,000,000"):
        draw_pictures(folder, count=count)
