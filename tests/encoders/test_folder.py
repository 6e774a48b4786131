"""The pictures of a folder, in natural order, with their captions."""

import pytest

from pairdex.encoders.folder import list_pictures
from pairdex.errors import MissingFile


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder):
    return [picture.name for picture in list_pictures(folder).pictures]


def test_numbers_in_names_are_ordered_as_numbers(tmp_path):
    touch(tmp_path, "b10.jpg", "b2.jpg", "a/10.png", "a/9.png", "b2.5.jpg", "B2.jpg")
    assert names(tmp_path) == ["B2.jpg", "a/9.png", "a/10.png", "b2.5.jpg", "b2.jpg", "b10.jpg"]


def test_the_order_is_total_where_names_differ_in_zeros_only(tmp_path):
    touch(tmp_path, "1.jpg", "01.jpg", "001.jpg")
    assert names(tmp_path) == ["001.jpg", "01.jpg", "1.jpg"]


def test_only_pictures_are_found_and_nothing_hidden(tmp_path):
    touch(tmp_path, "a.JPG", "b.txt", "c.json", ".d.jpg", ".e/f.jpg", "g/h.webp", "i")
    assert names(tmp_path) == ["a.JPG", "g/h.webp"]


def test_captions_come_from_text_files_beside_the_pictures(tmp_path):
    touch(tmp_path, "a.jpg", "b/c.jpg", "d.jpg")
    (tmp_path / "a.txt").write_text("a cat")
    (tmp_path / "b/c.txt").write_text("a dog")
    folder = list_pictures(tmp_path)
    assert [picture.caption for picture in folder.pictures] == ["a cat", "a dog", ""]
    assert folder.has_captions


def test_the_table_goes_before_text_files_and_brings_columns(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.txt").write_text("from the file")
    (tmp_path / "b.txt").write_text("from the file")
    (tmp_path / "captions.tsv").write_text("file\tcaption\tyear\na.jpg\tfrom the table\t1999\n")
    folder = list_pictures(tmp_path)
    assert folder.columns == ("year",)
    assert [(p.caption, p.values) for p in folder.pictures] == [
        ("from the table", ("1999",)),
        ("from the file", ("",)),
    ]


def test_a_listed_file_is_a_picture_whatever_its_suffix_and_also_if_it_is_gone(tmp_path):
    touch(tmp_path, "a.jpg", "scan")
    (tmp_path / "captions.tsv").write_text("scan\tx\ngone.jpg\ty\n")
    assert names(tmp_path) == ["a.jpg", "gone.jpg", "scan"]


def test_a_folder_without_captions_has_none(tmp_path):
    touch(tmp_path, "a.jpg")
    assert not list_pictures(tmp_path).has_captions


def test_a_missing_folder_and_one_without_pictures_are_refused(tmp_path):
    with pytest.raises(MissingFile, match="is no folder; expected a folder of pictures"):
        list_pictures(tmp_path / "none")
    touch(tmp_path, "notes.txt")
    with pytest.raises(MissingFile, match=r"holds no pictures; expected \.jpg"):
        list_pictures(tmp_path)
