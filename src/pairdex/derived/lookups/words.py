"""Split captions and keyword queries into words, both by the same rule."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pairdex.errors import InvalidArgument

__all__ = ["MAX_KEYWORDS", "Keywords", "parse_keywords", "split_words", "words_in"]

MAX_KEYWORDS = 64  # words in one query; a longer list is likely a mistake

_BETWEEN = r"[^\p{L}\p{N}]+"  # words consist of letters and digits, in any script
_ASCII_WORD = re.compile("[a-z0-9]+")
_ASKED = re.compile(r'(-?)"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class Keywords:
    """A parsed keyword query.

    Attributes
    ----------
    words
        The words that captions are ranked by, including those of the phrases.
    phrases
        Word sequences that must all appear.
    excluded
        Words and word sequences that must not appear.
    """

    words: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[tuple[str, ...], ...] = ()

    @property
    def is_strict(self) -> bool:
        """Whether the query excludes rows, rather than only ranking them."""
        return bool(self.phrases or self.excluded)


def split_words(texts: pa.Array) -> pa.ListArray:
    """Split texts into words after NFKC normalisation and lower-casing; some words may be empty."""
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.split_pattern_regex(plain, pattern=_BETWEEN)


def words_in(text: str) -> list[str]:
    """Return the words of one text, by the same rule as `split_words`; lone surrogates are left out."""
    if text.isascii():  # a hundred times faster
        return _ASCII_WORD.findall(text.lower())
    safe = text.encode(errors="ignore").decode()
    return [word for word in split_words(pa.array([safe]))[0].as_py() if word]


def parse_keywords(asked: str) -> Keywords:
    """Parse a keyword query such as `dog "red car" -cat`.

    Raises
    ------
    InvalidArgument
        The query has no words to look for, or too many.
    """
    words: list[str] = []
    phrases, excluded = [], []
    for minus, phrase, bare in _ASKED.findall(asked):
        is_quoted = not bare
        is_excluded = bool(minus) or (bare.startswith("-") and len(bare) > 1)
        those = tuple(words_in(phrase if is_quoted else bare))
        if not those:
            continue
        if is_excluded:
            excluded.append(those)
            continue
        words += those
        if is_quoted:
            phrases.append(those)
    count = len(words) + sum(map(len, excluded))
    if not words:
        raise InvalidArgument(
            f"the keywords {asked!r:.80} contain no word to look for, expected e.g. "
            "'dog \"red car\" -cat'",
            field="keywords",
        )
    if count > MAX_KEYWORDS:
        raise InvalidArgument(
            f"the keywords have {count} words, expected at most {MAX_KEYWORDS}", field="keywords"
        )
    return Keywords(tuple(dict.fromkeys(words)), tuple(phrases), tuple(excluded))
