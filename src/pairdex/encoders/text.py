"""Convert a text to a model's token ids: cleaned as the model expects, cut to its context."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as TooLate
from functools import partial

import ftfy
from tokenizers import Encoding, Tokenizer

from pairdex.encoders.model import Model, TextSpec
from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.files.boundary import reason_of
from pairdex.work.bounded_thread import BoundedThread

__all__ = ["MAX_TEXT_CHARS", "TextTokenizer", "canonical", "check_text", "clean"]

# Far more than any model reads (77 tokens of CLIP are about 300 characters), and still cleaned
# and tokenised in milliseconds.
MAX_TEXT_CHARS = 10_000

# Time limit per call and per text: a thousand times what a text takes.
_CALL_SECONDS, _TEXT_SECONDS = 10.0, 0.05

_SPACES = re.compile(r"\s+")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def check_text(text: str) -> None:
    """Raise for a text that is not usable as a query.

    Raises
    ------
    InvalidArgument
        The text is empty, all white space, longer than `MAX_TEXT_CHARS`, or is not valid Unicode.
    """
    if not text.strip():
        raise InvalidArgument("the text is empty; give a few words", field="text")
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidArgument(
            f"the text has {len(text):,} characters, at most {MAX_TEXT_CHARS:,} are read; "
            "shorten it",
            field="text",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"the text has half a character at {error.start:,}: a surrogate without its pair",
            field="text",
        ) from error


def clean(text: str) -> str:
    r"""Repair, unescape, put on one line and lower a text, as OpenAI's CLIP does before tokenising.

    Source: `basic_clean` and `whitespace_clean` of openai/CLIP, simple_tokenizer.py.

    Examples
    --------
    >>> clean("  Salt &amp;amp;\tPepper ")
    'salt & pepper'
    """
    repaired = ftfy.fix_text(text)
    unescaped = html.unescape(html.unescape(repaired)).strip()
    return _SPACES.sub(" ", unescaped).strip().lower()


def canonical(text: str) -> str:
    r"""Lower a text, remove ASCII punctuation and put it on one line, as SigLIP does.

    Source: `canonicalize_text` of Hugging Face transformers, tokenization_siglip.py.

    Examples
    --------
    >>> canonical(" A cat's,\tlife! ")
    'a cats life'
    """
    return _SPACES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).strip()


_CLEANING: dict[str, Callable[[str], str]] = {
    "openai": clean,
    "siglip": canonical,
    "lower": str.lower,  # SigLIP 2
    "none": str,
}


class TextTokenizer:
    """The tokenizer of a model."""

    def __init__(self, model: Model) -> None:
        self._spec: TextSpec = model.text
        self._path = model.tokenizer_file
        try:
            self._tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:  # the library raises no narrower class
            raise self._damaged(reason_of(error)) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._thread = BoundedThread()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's token ids: start, words, end, at most the model's context length.

        A text that is too long is cut; the end mark is kept. The words `<|endoftext|>` in a text
        are not treated as the mark.
        """
        spec = self._spec
        cleaned = [_CLEANING[spec.cleaning](text) for text in texts]
        marks = {spec.bos_id, spec.eot_id}
        start = [] if spec.bos_id is None else [spec.bos_id]
        room = spec.context_length - len(start) - 1
        found = self._encoded(cleaned)
        words = [[i for i in encoding.ids if i not in marks] for encoding in found]
        return [[*start, *inner[:room], spec.eot_id] for inner in words]

    def _encoded(self, texts: list[str]) -> list[Encoding]:
        """Tokenise texts in a separate thread, since a tokenizer's pattern may never finish."""
        encode = partial(self._tokenizer.encode_batch, texts, add_special_tokens=False)
        limit = _CALL_SECONDS + _TEXT_SECONDS * len(texts)
        try:
            return self._thread.run(encode, limit)
        except TooLate:
            late = f"it takes longer than {limit:g} s for {len(texts):,} texts"
            raise self._damaged(late) from None
        except Exception as error:  # the library raises no narrower class
            raise self._damaged(reason_of(error)) from error

    def _damaged(self, reason: str) -> DamagedFile:
        return DamagedFile(f"{self._path} cannot be used: {reason}; export the model again")
