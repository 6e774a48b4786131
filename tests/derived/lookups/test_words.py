"""Texts are split into words by one rule, whichever way they take."""

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from pairdex.derived.lookups.words import split_words, words_in


@given(st.text() | st.text(st.characters(max_codepoint=127)))
@example("Two  WORDS, 3d\x1f-print_it\x00")
@example("Ångström \uff32ed K")
def test_one_text_splits_as_a_column_of_texts_does(text):
    assert words_in(text) == [word for word in split_words(pa.array([text]))[0].as_py() if word]


def test_half_a_character_is_left_out():
    assert words_in("red \ud800car") == ["red", "car"]
