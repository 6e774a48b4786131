"""Texts are cleaned as OpenAI's CLIP cleans them, and cut to the context with the end mark kept."""

from dataclasses import replace

import pytest

from pairdex.encoders.model import load_model
from pairdex.encoders.text import MAX_TEXT_CHARS, TextTokenizer, check_text, clean
from pairdex.errors import InvalidArgument


@pytest.fixture(scope="module")
def model():
    return load_model("demo")


@pytest.fixture(scope="module")
def tokenizer(model):
    return TextTokenizer(model)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A Red CAR", "a red car"),
        ("  two \t words \n", "two words"),
        ("salt &amp; pepper", "salt & pepper"),
        ("salt &amp;amp; pepper", "salt & pepper"),
        ("&lt;b&gt;", "<b>"),
        ("\u201ccurly\u201d \u2018quotes\u2019", "\"curly\" 'quotes'"),
        ("schÃ¶n", "schön"),
        ("\uff46\uff55\uff4c\uff4c width", "full width"),
        ("non\u00a0breaking", "non breaking"),
        ("line\u2028separator", "line separator"),
        ("", ""),
    ],
)
def test_texts_are_repaired_unescaped_joined_and_lowered(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(InvalidArgument, match="the text is empty") as caught:
        check_text(text)
    assert caught.value.field == "text"


def test_a_text_of_fifty_thousand_characters_is_refused():
    with pytest.raises(InvalidArgument, match="has 50,000 characters, at most 10,000"):
        check_text("x" * 50_000)


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidArgument, match="half a character at 2"):
        check_text("a \ud800")


def test_the_longest_text_allowed_is_allowed():
    check_text("x" * MAX_TEXT_CHARS)


def test_ids_begin_and_end_with_the_marks(model, tokenizer):
    [ids] = tokenizer.ids(["a red car"])
    assert ids[0] == model.text.bos_id
    assert ids[-1] == model.text.eot_id
    assert ids.count(model.text.eot_id) == 1


def test_a_long_text_is_cut_and_keeps_the_end_mark(model, tokenizer):
    words = " ".join(["car"] * 100)
    [ids], [start] = tokenizer.ids([words]), tokenizer.ids(["car car car"])
    assert len(ids) == model.text.context_length
    assert ids[-1] == model.text.eot_id
    assert ids[:3] == start[:3]


def test_an_empty_text_has_the_marks_only(model, tokenizer):
    assert tokenizer.ids([""]) == [[model.text.bos_id, model.text.eot_id]]


def test_the_mark_written_out_in_a_text_is_not_taken_for_the_mark(model, tokenizer):
    [ids] = tokenizer.ids(["a <|endoftext|> cat"])
    assert ids.index(model.text.eot_id) == len(ids) - 1


def test_texts_that_differ_in_case_and_space_have_the_same_ids(tokenizer):
    one, other = tokenizer.ids(["A  Red Car ", "a red car"])
    assert one == other


def test_any_unicode_text_has_ids(tokenizer):
    [ids] = tokenizer.ids(["Ünïcödé 猫 🚗 \u0000 é"])
    assert len(ids) > 2


def test_a_model_without_cleaning_gets_the_text_as_it_is(model):
    plain = TextTokenizer(replace(model, text=replace(model.text, cleaning="none")))
    [escaped], [cleaned] = plain.ids(["&amp;"]), plain.ids(["&"])
    assert escaped != cleaned


def test_a_model_without_a_start_mark_gets_none(model):
    plain = TextTokenizer(replace(model, text=replace(model.text, bos_id=None)))
    [ids] = plain.ids(["car " * 100])
    assert model.text.bos_id not in ids
    assert len(ids) == model.text.context_length
