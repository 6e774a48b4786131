"""A text that is the name of a picture is refused as a question, and noted elsewhere."""

from pathlib import Path

import pytest

from pairdex.client.calls import search
from pairdex.errors import InvalidArgument
from pairdex.search.picture_names import is_picture_name, picture_note
from pairdex.search.questions import as_query

NAMES = ["cat.jpg", "pets/My Cat.JPEG", "https://example.org/a/cat.png?size=2", "./cat.webp"]
WORDS = ["a cat", "jpg", "a cat. png", "what is a .jpg file?", "http://[", "x" * 5000, ""]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_pictures_are_refused_as_questions(name):
    assert is_picture_name(name)
    with pytest.raises(InvalidArgument, match=r"image=.* or text="):
        as_query(name)
    with pytest.raises(InvalidArgument, match=r"image=.* or text="):
        search(name, {})


@pytest.mark.parametrize("words", WORDS)
def test_other_texts_are_texts(words):
    assert not is_picture_name(words)
    assert as_query(words).text == words
    assert picture_note(words) is None


def test_an_existing_file_is_a_picture_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("holiday photo").write_bytes(b"")
    with pytest.raises(InvalidArgument, match="looks like a picture's name"):
        as_query("holiday photo")


def test_a_text_on_the_command_line_is_noted(run, drawn):
    shown = run("search", drawn, "--text", "cat.jpg", "-k", 1)
    assert shown.status == 0
    assert "note: 'cat.jpg' was searched for as words; search by image" in shown.err
