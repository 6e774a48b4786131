"""Texts that are the name of a picture: people who write one mean the picture, not the words."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pairdex.encoders.pictures import SUFFIXES
from pairdex.errors import InvalidArgument

__all__ = ["check_no_picture", "is_picture_name", "picture_note"]

_LONGEST = 4096  # characters of a path


def is_picture_name(text: str) -> bool:
    """Return whether a text is an existing file, or ends like the path or address of a picture."""
    if len(text) > _LONGEST:
        return False
    try:
        return _ends_so(text) or Path(text).is_file()
    except (OSError, ValueError):  # the file system does not allow this name
        return False


def check_no_picture(question: str) -> None:
    """Raise InvalidArgument if a question, whose type says that it is a text, names a picture."""
    if not is_picture_name(question):
        return
    if "://" in question:
        how = "fetch the picture and pass its bytes as image=…"
    else:
        how = f"pass image={question!r}, or a Path, for the picture"
    raise InvalidArgument(
        f"question is the text {question!r:.200}, which looks like a picture's name; {how}, or "
        "text=… for these words",
        field="question",
    )


def picture_note(text: str | None) -> str | None:
    """Return a note for an answer to a text that ends like a picture's name; None for other texts.

    Nothing is looked up on disk: the text may come from another machine.
    """
    if text is None or not _ends_so(text):
        return None
    return f"{text[:80]!r} was searched for as words; search by image for the picture of that name"


def _ends_so(text: str) -> bool:
    """Return whether the path, or the path of an address, ends like that of a picture."""
    try:
        path = urlsplit(text).path if "://" in text else text
    except ValueError:  # it is not an address
        return False
    return PurePosixPath(path).suffix.lower() in SUFFIXES
