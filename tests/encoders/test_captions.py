"""Captions from a table for the folder or from a text file beside each picture."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.encoders.caption_tables import read_caption_tables


def read(folder):
    return read_caption_tables(
        folder, ["captions.tsv"] if (folder / "captions.tsv").exists() else []
    )


def columns(table):
    return tuple(table.columns.schema.names)


def table(folder, text):
    (folder / "captions.tsv").write_text(text, "utf-8")
    return read(folder)


@pytest.mark.parametrize("first", ["file", "filename", "image", "image_path", "File"])
def test_a_header_is_known_by_its_first_field(tmp_path, first):
    found = table(tmp_path, f"{first}\tcaption\na.jpg\ta cat\n")
    assert found.captions == {"a.jpg": "a cat"}


@pytest.mark.parametrize("name", ["caption", "text", "title", "name", "Caption"])
def test_the_caption_is_the_column_that_is_called_so(tmp_path, name):
    found = table(tmp_path, f"file\tauthor\t{name}\na.jpg\tAnn\ta cat\n")
    assert found.captions == {"a.jpg": "a cat"}
    assert columns(found) == ("author",)
    assert found.values == {"a.jpg": {"author": "Ann"}}


def test_caption_is_preferred_to_name(tmp_path):
    found = table(tmp_path, "file\tname\tcaption\na.jpg\tTom\ta cat\n")
    assert found.captions == {"a.jpg": "a cat"}
    assert columns(found) == ("name",)


def test_without_such_a_column_the_second_is_the_caption(tmp_path):
    found = table(tmp_path, "file\twords\tyear\na.jpg\ta cat\t1999\n")
    assert found.captions == {"a.jpg": "a cat"}
    assert columns(found) == ("year",)


def test_without_a_header_the_second_field_is_the_caption(tmp_path):
    found = table(tmp_path, "a.jpg\ta cat\tx\nb.jpg\ta dog\n")
    assert found.captions == {"a.jpg": "a cat", "b.jpg": "a dog"}
    assert columns(found) == ("column_3",)
    assert found.values == {"a.jpg": {"column_3": "x"}, "b.jpg": {"column_3": ""}}


def test_a_table_of_file_names_only_has_no_captions(tmp_path):
    assert table(tmp_path, "a.jpg\nb.jpg\n").captions == {"a.jpg": "", "b.jpg": ""}


def test_columns_that_are_taken_twice_or_nameless_get_names_of_their_own(tmp_path):
    found = table(tmp_path, "file\tcaption\twidth\tx\tX\t\na.jpg\ta cat\t1\t2\t3\t4\n")
    assert columns(found) == ("source_width", "x", "source_X", "column_6")
    assert list(found.values["a.jpg"].values()) == ["1", "2", "3", "4"]


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    (tmp_path / "captions.tsv").write_bytes(b"\xef\xbb\xbffile\tcaption\r\n\r\na.jpg\ta cat\r\n")
    assert read(tmp_path).captions == {"a.jpg": "a cat"}


def test_a_separator_of_unicode_lines_ends_no_line_of_the_table(tmp_path):
    assert table(tmp_path, "a.jpg\tone\u2028two\n").captions == {"a.jpg": "one two"}


def test_quotes_are_part_of_the_caption(tmp_path):
    assert table(tmp_path, 'a.jpg\t"a cat"\n').captions == {"a.jpg": '"a cat"'}


def test_no_table_and_an_empty_one_have_no_captions(tmp_path):
    assert read(tmp_path).captions == {}
    assert table(tmp_path, "\n\n").captions == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\tcaption\na.jpg\tx\ty\nb.jpg\tz\n", "line 2: 3 fields, expected at most 2"),
        ("../a.jpg\tx\nb.jpg\tz\n", "line 1: '../a.jpg' is not a file of this folder"),
        ("/etc/a.jpg\tx\nb.jpg\tz\n", "line 1: '/etc/a.jpg' is not a file of this folder"),
        ("\ta cat\nb.jpg\tz\n", "line 1: '' is not a file of this folder"),
    ],
)
def test_a_line_that_makes_no_sense_costs_itself_and_is_named(tmp_path, text, message):
    found = table(tmp_path, text)
    assert found.captions == {"b.jpg": "z"}
    assert found.problems == [("captions.tsv", message)]


def test_further_lines_of_a_picture_are_further_captions(tmp_path):
    found = table(tmp_path, "a.jpg\tx\n./a.jpg\ty\n")
    assert found.captions == {"a.jpg": "x"}
    assert found.several == {"a.jpg": ["x", "y"]}


def test_a_table_of_another_encoding_is_read_and_said(tmp_path):
    text = "a.jpg\tein Mädchen mit grünem Hut\nb.jpg\tschöne Grüße aus Köln\n"
    (tmp_path / "captions.tsv").write_bytes(text.encode("cp1252"))
    found = read(tmp_path)
    assert found.captions["b.jpg"] == "schöne Grüße aus Köln"
    [(name, note)] = found.problems
    assert (name, note[:29]) == ("captions.tsv", "it is not UTF-8 and was read ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", 'file_name,text\na.jpg,"a cat, asleep"\n'),
        ("metadata.jsonl", '{"file_name": "a.jpg", "text": "a cat, asleep"}\n'),
        ("captions.txt", 'image,caption\na.jpg,"a cat, asleep"\n'),
        ("results.csv", "image_name| comment_number| comment\na.jpg| 0| a cat, asleep\n"),
        ("Flickr8k.token.txt", "a.jpg#0\ta cat, asleep\n"),
    ],
)
def test_tables_of_other_data_sets_are_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    found = read_caption_tables(tmp_path, [name])
    assert found.captions == {"a.jpg": "a cat, asleep"}
    assert found.problems == []


def test_a_parquet_table_of_an_inner_folder_names_pictures_there(tmp_path):
    (tmp_path / "train").mkdir()
    rows = {"file_name": ["a.jpg"], "caption": [["a dog", "the dog"]], "year": [1999]}
    pq.write_table(pa.table(rows), tmp_path / "train/metadata.parquet")
    found = read_caption_tables(tmp_path, ["train/metadata.parquet"])
    assert found.several == {"train/a.jpg": ["a dog", "the dog"]}
    assert found.values == {"train/a.jpg": {"year": 1999}}


def test_a_bad_line_of_json_costs_itself(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.jpg", "text": "x"}\n{"file_na\n')
    found = read_caption_tables(tmp_path, ["metadata.jsonl"])
    assert found.captions == {"a.jpg": "x"}
    assert found.problems == [("metadata.jsonl", "line 2: it is not a JSON object")]


def test_a_table_without_a_column_of_pictures_is_said(tmp_path):
    (tmp_path / "metadata.csv").write_text("id,text\n1,x\n")
    [(name, note)] = read_caption_tables(tmp_path, ["metadata.csv"]).problems
    assert (name, note) == (
        "metadata.csv",
        "it has no column of pictures: expected file, filename, file_name or the like",
    )
