"""Captions that are not UTF-8: their encoding is detected over many of them together."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping

from charset_normalizer import from_bytes

__all__ = ["decoded", "decoded_all"]

# The order breaks ties: short captions fit several encodings equally well.
_KNOWN = (
    "cp1252", "cp1250", "cp1251", "cp932", "gb18030", "euc_jp", "big5", "cp949", "koi8_r",
)  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 1 << 20  # enough to detect by


def decoded(data: bytes) -> tuple[str, str]:
    """Return a text and its encoding; the encoding is empty for UTF-8."""
    texts, encodings = decoded_all({"": data})
    return texts[""], encodings.get("", "")


def decoded_all(files: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, str]]:
    """Decode texts of one source; return them, with the encoding of each that is not UTF-8.

    Texts without a byte order mark are assumed to share one encoding, detected from all of them.
    The encoding of a text that does not fit is detected separately.
    """
    texts: dict[str, str] = {}
    encodings: dict[str, str] = {}
    others: dict[str, bytes] = {}
    for name, data in files.items():
        marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
        try:
            texts[name] = data.decode(marked or "utf-8-sig")
        except UnicodeDecodeError:
            others[name] = data
        else:
            if marked:
                encodings[name] = marked
    together = _detected(others.values()) if others else _KNOWN[0]
    for name, data in others.items():
        encodings[name] = together if _fits(data, together) else _detected([data])
        texts[name] = data.decode(encodings[name], "replace")
    return texts, encodings


def _detected(texts: Iterable[bytes]) -> str:
    """Return the most likely encoding."""
    sample, size = list[bytes](), 0
    for text in texts:
        sample.append(text)
        size += len(text)
        if size > _SAMPLE_BYTES:
            break
    found = from_bytes(b"\n".join(sample), cp_isolation=list(_KNOWN))
    ranked = sorted(
        (one for one in found if one.encoding in _KNOWN),
        key=lambda one: (one.chaos, -one.coherence, _KNOWN.index(one.encoding)),
    )
    return ranked[0].encoding if ranked else _KNOWN[0]


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
