"""JSON files that hold a checksum of themselves; a file with any other byte is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files import checksums, foreign_json

__all__ = ["read_sealed", "seal_of", "sealed"]


def seal_of(content: dict[str, Any]) -> str:
    """Return the XXH3-128 of `content` in compact form with sorted keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return checksums.of_bytes(_utf8(text))


def sealed(content: dict[str, Any]) -> bytes:
    """Return `content` as the bytes of a file, with its checksum as the last key.

    Raises
    ------
    ValueError
        `content` has a key `checksum`: its reader would take it for the seal.
    """
    if "checksum" in content:
        raise ValueError(f"the content to seal has a checksum of its own: {content['checksum']!r}")
    return _serialised({**content, "checksum": seal_of(content)})


def read_sealed(data: bytes, path: Path, *, kind: str, version: int, remedy: str) -> dict[str, Any]:
    """Return the sealed content, without the checksum.

    Parameters
    ----------
    path
        The file that `data` was read from, for messages.
    kind, version
        The expected values of its keys `format` and `version`.
    remedy
        What to do about a damaged file.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The bytes differ from those written; a foreign file, or another version.
    """
    try:
        content = foreign_json.parse(data)
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: it is not JSON; {remedy}") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise UnsupportedFormat(
            f'{path} is not the manifest of a {kind}; expected "format": "{kind}"'
        )
    if content.get("version") != version:
        raise UnsupportedFormat(
            f"{path} has format version {str(content.get('version'))[:40]}, "
            f"this release reads version {version}; upgrade pairdex"
        )
    written = _serialised(content)
    claimed = content.pop("checksum", None)
    if written != data or seal_of(content) != claimed:
        raise DamagedFile(f"{path} is damaged: its checksum does not match; {remedy}")
    return content


def _serialised(content: dict[str, Any]) -> bytes:
    return _utf8(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _utf8(text: str) -> bytes:
    """Encode JSON; characters of file names that UTF-8 cannot hold become JSON escapes."""
    return text.encode(errors="backslashreplace")
