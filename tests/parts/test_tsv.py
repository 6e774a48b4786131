"""The TSV of bundles: every text comes back as it was, and a line that is none is named."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.parts import tsv
from pairdex.parts.tsv import read_tsv, tsv_schema

HEADER = "caption\tNSFW\tLICENSE\turl\n"


def read(path):
    return pa.concat_tables([tsv_schema(path).empty_table(), *read_tsv(path)])


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def julia_field(text):
    """As Julia's CSV.write does it: a carriage return alone does not make it quote."""
    if text is None:
        return ""
    if any(c in text for c in '\t\n"'):
        return '"' + text.replace('"', '""') + '"'
    return text


texts = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(rows=st.lists(st.tuples(texts, texts, texts, texts), max_size=12))
def test_what_julia_writes_is_read_as_it_was(tmp_path_factory, rows):
    lines = ["\t".join(map(julia_field, row)) + "\n" for row in rows]
    path = written(tmp_path_factory.mktemp("tsv") / "meta.tsv", HEADER + "".join(lines))
    assert [tuple(row.values()) for row in read(path).to_pylist()] == rows


def test_what_pythons_csv_writes_is_read_as_it_was(tmp_path):
    rows = [['5" wide', "UNSURE", "?", "https://a"], ["a\tb\nc", "x", "\r", "ü"]]
    file = io.StringIO()
    csv.writer(file, delimiter="\t", lineterminator="\n").writerows([HEADER.split(), *rows])
    found = read(written(tmp_path / "meta.tsv", file.getvalue())).to_pylist()
    assert [list(row.values()) for row in found] == rows


def test_a_quoted_empty_field_is_a_text_and_a_bare_one_missing(tmp_path):
    table = read(written(tmp_path / "meta.tsv", HEADER + 'NA\t""\t\tnull\n'))
    assert table.to_pylist() == [{"caption": "NA", "NSFW": "", "LICENSE": None, "url": "null"}]


def test_lines_may_end_as_on_windows_and_the_last_one_not_at_all(tmp_path):
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + "a\tb\tc\td\r\ne\tf\tg\th"
    table = read(written(tmp_path / "meta.tsv", text))
    assert table.column_names[0] == "caption"
    assert table["url"].to_pylist() == ["d", "h"]


def test_records_across_blocks_are_read_whole(tmp_path, monkeypatch):
    rows = [f"caption {row}\nsecond line\tand \r tab" for row in range(500)]
    lines = [f'"{row}"\tUNLIKELY\t\thttps://example.org\n' for row in rows]
    path = written(tmp_path / "meta.tsv", HEADER + "".join(lines))
    monkeypatch.setattr(tsv, "_BLOCK_BYTES", 300)
    assert len(list(read_tsv(path))) > 50
    assert read(path)["caption"].to_pylist() == rows


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\tb\tc\td\na\tb\tc\n", "Expected 4 columns, got 3"),
        ("a\tb\tc\td\te\n", "Expected 4 columns, got 5"),
        ('a\tb\tc\td\n"a\tb\tc\td\n', "after row 0: .*Expected 4 columns, got 1"),
        (
            '"a\tb\tc\td\n' + "a\tb\tc\td\n" * 200,
            "a line is longer than 300 bytes, as when a quote",
        ),
    ],
    ids=["too few", "too many", "unclosed quote", "unclosed quote far from the end"],
)
def test_a_broken_line_is_named(tmp_path, monkeypatch, text, told):
    monkeypatch.setattr(tsv, "_BLOCK_BYTES", 300)
    path = written(tmp_path / "meta.tsv", HEADER + text)
    with pytest.raises(DamagedFile, match=rf"meta\.tsv cannot be read .*{told}"):
        read(path)


def test_bytes_that_are_no_text_are_named(tmp_path):
    for bad in (b"\xff", b"\xc3("):
        (tmp_path / "meta.tsv").write_bytes(HEADER.encode() + b"a\tb\tc\t" + bad + b"\n")
        with pytest.raises(DamagedFile, match=r"meta\.tsv cannot be read after row 0: .*UTF-?8"):
            read(tmp_path / "meta.tsv")


@pytest.mark.parametrize("text", ["", "a photo\tUNLIKELY\t?\thttps://a\n", "PAR1\0\0\0"])
def test_a_file_without_the_header_is_refused(tmp_path, text):
    with pytest.raises(UnsupportedFormat, match="expected a header like caption NSFW LICENSE url"):
        tsv_schema(written(tmp_path / "meta.tsv", text))
