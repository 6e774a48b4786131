"""What a word is: the same for captions and for what is asked of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pairdex.errors import InvalidArgument

__all__ = ["MAX_KEYWORDS", "Keywords", "parse_keywords", "split_words"]

MAX_KEYWORDS = 64  # words asked for at once; a longer list is a mistake

_BETWEEN = r"[^\p{L}\p{N}]+"  # letters and digits make words, whatever the script
_ASKED = re.compile(r'(-?)"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class Keywords:
    """What is asked of captions.

    Attributes
    ----------
    words
        Captions are ranked by them; those of the phrases too.
    phrases
        Each has to appear, its words one after the other.
    excluded
        Words and phrases of which none may appear.
    """

    words: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[tuple[str, ...], ...] = ()

    @property
    def is_strict(self) -> bool:
        """Whether rows are ruled out by it, and not only ranked."""
        return bool(self.phrases or self.excluded)


def split_words(texts: pa.Array) -> pa.ListArray:
    """Return the words of texts: in lower case, of compatible characters (NFKC), without marks between."""
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.split_pattern_regex(plain, pattern=_BETWEEN)


def parse_keywords(asked: str) -> Keywords:
    """Read what is asked: `dog "red car" -cat`.

    Raises
    ------
    InvalidArgument
        It has no words, or too many.
    """
    words: list[str] = []
    phrases, excluded = [], []
    for minus, phrase, bare in _ASKED.findall(asked):
        is_quoted = not bare
        is_excluded = bool(minus) or (bare.startswith("-") and len(bare) > 1)
        those = _words(phrase if is_quoted else bare)
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
            f"the keywords {asked!r:.80} name no word to look for; expected words as in "
            "'dog \"red car\" -cat'",
            field="keywords",
        )
    if count > MAX_KEYWORDS:
        raise InvalidArgument(
            f"the keywords have {count} words, expected at most {MAX_KEYWORDS}", field="keywords"
        )
    return Keywords(tuple(dict.fromkeys(words)), tuple(phrases), tuple(excluded))


def _words(text: str) -> tuple[str, ...]:
    safe = text.encode(errors="ignore").decode()
    return tuple(word for word in split_words(pa.array([safe]))[0].as_py() if word)
