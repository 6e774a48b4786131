"""Captions from a table for the folder or from a text file beside each picture."""

import pytest

from pairdex.encoders.captions import read_caption_file, read_caption_table
from pairdex.errors import DamagedFile


def table(folder, text):
    (folder / "captions.tsv").write_text(text, "utf-8")
    return read_caption_table(folder)


@pytest.mark.parametrize("first", ["file", "filename", "image", "image_path", "File"])
def test_a_header_is_known_by_its_first_field(tmp_path, first):
    read = table(tmp_path, f"{first}\tcaption\na.jpg\ta cat\n")
    assert read.captions == {"a.jpg": "a cat"}


@pytest.mark.parametrize("name", ["caption", "text", "title", "name", "Caption"])
def test_the_caption_is_the_column_that_is_called_so(tmp_path, name):
    read = table(tmp_path, f"file\tauthor\t{name}\na.jpg\tAnn\ta cat\n")
    assert read.captions == {"a.jpg": "a cat"}
    assert read.columns == ("author",)
    assert read.values == {"a.jpg": ("Ann",)}


def test_caption_is_preferred_to_name(tmp_path):
    read = table(tmp_path, "file\tname\tcaption\na.jpg\tTom\ta cat\n")
    assert read.captions == {"a.jpg": "a cat"}
    assert read.columns == ("name",)


def test_without_such_a_column_the_second_is_the_caption(tmp_path):
    read = table(tmp_path, "file\twords\tyear\na.jpg\ta cat\t1999\n")
    assert read.captions == {"a.jpg": "a cat"}
    assert read.columns == ("year",)


def test_without_a_header_the_second_field_is_the_caption(tmp_path):
    read = table(tmp_path, "a.jpg\ta cat\tx\nb.jpg\ta dog\n")
    assert read.captions == {"a.jpg": "a cat", "b.jpg": "a dog"}
    assert read.columns == ("column_3",)
    assert read.values == {"a.jpg": ("x",), "b.jpg": ("",)}


def test_a_table_of_file_names_only_has_no_captions(tmp_path):
    assert table(tmp_path, "a.jpg\nb.jpg\n").captions == {"a.jpg": "", "b.jpg": ""}


def test_columns_that_are_taken_twice_or_nameless_get_names_of_their_own(tmp_path):
    read = table(tmp_path, "file\tcaption\twidth\tx\tX\t\na.jpg\ta cat\t1\t2\t3\t4\n")
    assert read.columns == ("source_width", "x", "source_X", "column_6")
    assert read.values["a.jpg"] == ("1", "2", "3", "4")


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    (tmp_path / "captions.tsv").write_bytes(b"\xef\xbb\xbffile\tcaption\r\n\r\na.jpg\ta cat\r\n")
    assert read_caption_table(tmp_path).captions == {"a.jpg": "a cat"}


def test_a_separator_of_unicode_lines_stays_in_the_caption(tmp_path):
    assert table(tmp_path, "a.jpg\tone\u2028two\n").captions == {"a.jpg": "one\u2028two"}


def test_quotes_are_part_of_the_caption(tmp_path):
    assert table(tmp_path, 'a.jpg\t"a cat"\n').captions == {"a.jpg": '"a cat"'}


def test_no_table_and_an_empty_one_have_no_captions(tmp_path):
    assert read_caption_table(tmp_path).captions == {}
    assert table(tmp_path, "\n\n").captions == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\tcaption\na.jpg\tx\ty\n", "line 2: 3 fields, expected at most 2"),
        ("a.jpg\tx\n./a.jpg\ty\n", r"line 2: a\.jpg comes a second time"),
        ("../a.jpg\tx\n", r"line 1: '\.\./a\.jpg' is no file of this folder"),
        ("/etc/a.jpg\tx\n", "line 1: '/etc/a.jpg' is no file of this folder"),
        ("\ta cat\n", "line 1: '' is no file of this folder"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path, text, message):
    with pytest.raises(DamagedFile, match=message):
        table(tmp_path, text)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "captions.tsv").write_bytes(b"a.jpg\t\xff\xfe\n")
    with pytest.raises(DamagedFile, match="no UTF-8 text: byte 6"):
        read_caption_table(tmp_path)


def test_a_caption_file_is_read_as_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("  a cat\non a mat\n")
    assert read_caption_file(tmp_path / "a.txt") == "a cat on a mat"
    assert read_caption_file(tmp_path / "b.txt") == ""
