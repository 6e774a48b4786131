"""JSON files that carry a checksum of themselves and are read only in the very bytes they were written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files import checksums, foreign_json

__all__ = ["read_sealed", "seal_of", "sealed"]


def seal_of(content: dict[str, Any]) -> str:
    """Return the XXH3-128 of `content` in its one compact form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return checksums.of_bytes(_utf8(text))


def sealed(content: dict[str, Any]) -> bytes:
    """Return `content` as the bytes of a file, with its checksum as the last key."""
    return _serialised({**content, "checksum": seal_of(content)})


def read_sealed(data: bytes, path: Path, *, kind: str, version: int, remedy: str) -> dict[str, Any]:
    """Return what was sealed, without the checksum.

    Parameters
    ----------
    path
        Where `data` was read, for messages.
    kind, version
        What its keys `format` and `version` must say.
    remedy
        What to do about a damaged file.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        Other bytes than were written; a foreign file, or one of another version.
    """
    try:
        content = foreign_json.parse(data)
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: it is no JSON; {remedy}") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise UnsupportedFormat(f'{path} is no manifest of a {kind}; expected "format": "{kind}"')
    if content.get("version") != version:
        raise UnsupportedFormat(
            f"{path} has format version {str(content.get('version'))[:40]}, "
            f"this release reads version {version}; upgrade pairdex"
        )
    written = _serialised(content)
    claimed = content.pop("checksum", None)
    if written != data or seal_of(content) != claimed:
        raise DamagedFile(f"{path} is damaged: its checksum does not fit; {remedy}")
    return content


def _serialised(content: dict[str, Any]) -> bytes:
    return _utf8(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _utf8(text: str) -> bytes:
    """Encode JSON; what is no text in a file's name becomes JSON's own escape of it."""
    return text.encode(errors="backslashreplace")
