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
    with pytest.raises(MissingFile, match="is not a folder; expected a folder of pictures"):
        list_pictures(tmp_path / "none")
    touch(tmp_path, "notes.txt")
    with pytest.raises(MissingFile, match=r"holds no pictures; expected \.jpg"):
        list_pictures(tmp_path)


def test_a_caption_file_belongs_to_its_picture_whatever_the_case_of_its_suffix(tmp_path):
    touch(tmp_path, "IMG_1.JPG", "IMG_2.JPG")
    (tmp_path / "IMG_1.TXT").write_text("one")
    (tmp_path / "IMG_2.TXT").write_text("other")
    (tmp_path / "IMG_2.txt").write_text("two")
    assert [picture.caption for picture in list_pictures(tmp_path).pictures] == ["one", "two"]


def test_captions_of_another_encoding_are_detected_together_and_said(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.txt").write_bytes("собака".encode("cp1251"))
    (tmp_path / "b.txt").write_bytes("кошка на дереве, два человека на улице".encode("cp1251"))
    first, second = list_pictures(tmp_path).pictures
    assert first.caption == "собака"
    assert second.note == "b.txt was read as cp1251"


def test_a_bad_json_beside_a_picture_costs_itself(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text('{"caption": "a dog", "year": 1999}')
    folder = list_pictures(tmp_path)
    assert [(one.caption, one.values) for one in folder.pictures] == [
        ("", (None,)),
        ("a dog", (1999,)),
    ]
    assert folder.pictures[0].note == "a.json: it is not JSON"


def test_several_captions_are_kept_as_a_list_beside_the_first(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "captions.txt").write_text(
        "image,caption\na.jpg,a dog\na.jpg,the dog\nb.jpg,a cat\n"
    )
    folder = list_pictures(tmp_path)
    assert folder.columns == ("captions",)
    assert [(one.caption, one.values) for one in folder.pictures] == [
        ("a dog", (["a dog", "the dog"],)),
        ("a cat", (None,)),
    ]


def test_a_key_that_is_a_column_of_ours_gets_another_name(tmp_path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "a.json").write_text('{"camera": "mine", "width": 3}')
    assert list_pictures(tmp_path).columns == ("source_camera",)
