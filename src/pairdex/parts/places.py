"""Resolve places such as `~/laion` and `file:///data/laion`; reject remote ones."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pairdex.arguments import StrPath
from pairdex.errors import InvalidArgument

__all__ = ["is_address", "local_place"]

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/")
_WAYS = {
    "s3": "aws s3 sync",
    "gs": "gcloud storage rsync",
    "hf": "hf download",
    "http": "pairdex fetch, or curl -O",
    "https": "pairdex fetch, or curl -O",
}


def is_address(place: str) -> bool:
    """Return whether a text is an address rather than a path of this machine."""
    return "://" in place and not Path(place).exists()


def local_place(place: StrPath, *, field: str = "source") -> Path:
    """Return the local path of a place.

    Raises
    ------
    InvalidArgument
        It is on another machine.
    """
    text = os.fspath(place)
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else None
    if scheme is None or Path(text).exists():
        return Path(text).expanduser()
    if scheme == "file":
        url = urlsplit(re.sub(r"^[fF][iI][lL][eE]:/+", "file:///", text))
        return Path(unquote(url.path))
    way = _WAYS.get(scheme, "a program that reads it")
    raise InvalidArgument(
        f"{text} is on another machine, pairdex reads folders of this one: fetch it first ({way}), "
        "then name the folder",
        field=field,
    )
