"""Rows and hits in a notebook: pictures within limits, escaped text, nothing fetched."""

import pickle
import re
import socket
from html.parser import HTMLParser

import pyarrow as pa
import pytest
from PIL import Image

import pairdex
from pairdex.store import row_html
from pairdex.store.row_html import Row, grid, table_html

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</figcaption></figure><iframe src=//evil>",
    "&lt;b&gt; \u202egnp.exe\x00\x1b[31m",
    "<!-- <svg onload=alert(1)>",
]
ADDRESSES = [
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "JaVaScRiPt://example.org/%0aalert(1)",
    'https://example.org/"onclick="alert(1)',
    "https://example.org/'><script>alert(1)</script>",
    "https://[::1",
    "\x01javascript:alert(1)",
    "file:///etc/passwd",
]
ALLOWED = {
    "div": {"style"}, "figure": {"style"}, "figcaption": set(), "bdi": set(),
    "img": {"src", "alt", "style"}, "a": {"href", "target", "rel"},
    "table": set(), "thead": set(), "tbody": set(), "tr": set(), "th": {"style"}, "td": {"style"},
}  # fmt: skip


class Tags(HTMLParser):
    """Checks every element: only ours, with our attributes, closed in order."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.links, self.images, self.text = [], [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert {name for name, _ in attrs} <= ALLOWED[tag]
        if tag == "img":
            self.images.append(dict(attrs)["src"])
            return
        self.open.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


@pytest.fixture
def hostile():
    """A table whose texts, addresses and column names attack the page."""
    captions = HOSTILE + ["x"] * (len(ADDRESSES) - len(HOSTILE))
    return pa.table(
        {
            "id": range(len(ADDRESSES)),
            "url": ADDRESSES,
            "caption": captions,
            "image_path": ["../../../etc/passwd"] * len(ADDRESSES),
            "<script>column</script>": captions,
        }
    )


@pytest.fixture
def attacked(make_parts, build, tmp_path, hostile):
    """A collection of these rows."""
    columns = {name: hostile[name] for name in hostile.column_names if name != "id"}
    build(make_parts(len(hostile), columns=columns), tmp_path / "attacked")
    return pairdex.open(tmp_path / "attacked")


def test_hits_are_a_grid_of_their_pictures_and_captions(drawn):
    hits = pairdex.open(drawn).search("a red car", k=5)
    page = Tags(hits._repr_html_())
    assert len(page.images) == 5
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.images)
    assert all(hit["caption"] in page.text for hit in hits)
    assert page.text.startswith("5 rows, hybrid")


def test_a_grid_has_a_limited_number_of_cards_and_says_so(drawn):
    page = Tags(pairdex.open(drawn).search("a car", k=60)._repr_html_())
    assert len(page.images) == row_html.MAX_CARDS
    assert page.text.startswith("60 rows, hybrid; the first 24 are shown")


def test_rows_without_a_distance_are_a_grid_too(drawn):
    hits = pairdex.open(drawn).search(where="id >= 7", sort="id", k=3)
    page = Tags(hits._repr_html_())
    assert re.findall(r"id \d+", page.text) == ["id 7", "id 8", "id 9"]
    assert len(page.images) == 3
    assert Tags(hits[0]._repr_html_()).images


def test_pictures_of_one_output_have_a_limited_size(drawn, monkeypatch):
    monkeypatch.setattr(row_html, "MAX_PICTURE_BYTES", 12_000)
    page = pairdex.open(drawn).search("a car", k=20)._repr_html_()
    assert 0 < len(Tags(page).images) < 20
    assert len(page) < 12_000 * 4 / 3 + 20 * 1000


def test_a_collection_shows_rows_from_its_beginning_to_its_end(drawn):
    page = Tags(pairdex.open(drawn)._repr_html_())
    assert "300 rows of 64 dimensions" in page.text
    ids = [int(one) for one in re.findall(r"id (\d+)", page.text)]
    assert ids == list(range(0, 300, 25))
    assert len(page.images) == 12


def test_a_closed_collection_shows_as_text(drawn):
    collection = pairdex.open(drawn)
    collection.close()
    assert collection._repr_html_() is None


def test_a_row_is_a_dictionary_that_shows_its_picture(drawn):
    collection = pairdex.open(drawn)
    row, hit = collection[5], collection.search(like=5, k=1)[0]
    assert row == dict(row)
    assert pickle.loads(pickle.dumps(row))._repr_html_() == row._repr_html_()
    for shown in (row, hit):
        page = Tags(shown._repr_html_())
        assert len(page.images) == 1
        assert shown["caption"] in page.text


def test_a_removed_row_shows_no_picture(drawn, tmp_path):
    pairdex.subset(drawn, tmp_path / "copy")
    collection = pairdex.open(tmp_path / "copy")
    hits = collection.search(like=5, k=3)
    row = collection[hits[0]["id"]]
    pairdex.remove(tmp_path / "copy", ids=hits.ids[:1], reason="test")
    assert len(Tags(hits._repr_html_()).images) == 2
    assert Tags(row._repr_html_()).images == []
    assert len(Tags(collection._repr_html_()).images) == 12


def test_hits_outlive_their_collection(drawn):
    hits = pairdex.open(drawn).search("a car", k=2)
    there = pickle.loads(pickle.dumps(hits))
    assert there._repr_html_() == hits._repr_html_()
    gone = type(hits)(hits.table, hits.report, drawn / "gone")
    assert Tags(gone._repr_html_()).images == []
    assert Tags(type(hits)(hits.table, hits.report)._repr_html_()).images == []


def test_hostile_texts_and_addresses_inject_nothing(attacked, hostile):
    hits = attacked.search(like=0, k=len(ADDRESSES))
    pages = [hits._repr_html_(), attacked._repr_html_(), table_html(hits.table)]
    pages += [attacked[number]._repr_html_() for number in range(len(ADDRESSES))]
    for page in pages:
        tags = Tags(page)
        assert all(link.startswith("https://example.org/") for link in tags.links)
        assert tags.images == []
        assert "<script" not in page
        assert not re.search(r"[\x00-\x08\x1b]", page)


def test_an_address_becomes_a_link_that_sends_no_referrer():
    row = {"id": 1, "url": "https://example.org/a.jpg?b=1&c=2"}
    page = grid([row], row_html.Pictures(None), title="one")
    assert Tags(page).links == [row["url"]]
    assert 'rel="noopener noreferrer nofollow"' in page


def test_nothing_is_fetched(attacked, monkeypatch):
    def refused(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    assert "example.org" in attacked.search(like=0)._repr_html_()


def test_a_long_text_is_shortened_and_a_wide_table_cut():
    wide = pa.table({f"c{number}": ["x" * 10_000] * 50 for number in range(50)})
    page = table_html(wide)
    assert len(page) < 400_000
    assert "50 rows, 50 columns; 20 rows and 30 columns shown" in page
    assert table_html(pa.table({"a": [1]})).count("<td>") == 1
    assert "0 rows, 1 column<" in table_html(pa.table({"a": pa.array([], pa.int64())}))


def test_a_damaged_picture_leaves_its_card(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "b.png")
    pairdex.encode(tmp_path, tmp_path / "parts", model="demo")
    pairdex.build(tmp_path / "parts", tmp_path / "collection")
    (tmp_path / "a.png").write_bytes(b"no picture")
    page = Tags(pairdex.open(tmp_path / "collection")._repr_html_())
    assert len(page.images) == 1
    assert "id 0" in page.text
    assert "a.png" in page.text  # instead of a caption


def test_the_extension_shows_arrow_tables():
    shells = pytest.importorskip("IPython.core.interactiveshell")
    shell = shells.InteractiveShell()
    shell.run_line_magic("load_ext", "pairdex")
    shown, _ = shell.display_formatter.format(pa.table({"a": ["<b>"]}))
    assert "<bdi>&lt;b&gt;</bdi>" in shown["text/html"]


def test_a_row_without_a_collection_shows_its_values():
    assert "7" in Tags(Row({"id": 7})._repr_html_()).text
