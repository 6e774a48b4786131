"""Notes of unfinished work: sealed like finished files, so that a resumed run believes no damaged one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files import atomic
from pairdex.files.sealed_json import read_sealed, sealed

__all__ = ["read_note", "write_note"]

_FORMAT, _VERSION = "pairdex-unfinished", 1

_log = logging.getLogger(__name__)


def write_note(path: Path, content: dict[str, Any]) -> None:
    """Write a note of a step that is done.

    Raises
    ------
    WriteFailed
        It cannot be written.
    """
    atomic.write_bytes(path, sealed({"format": _FORMAT, "version": _VERSION, "content": content}))


def read_note(path: Path) -> dict[str, Any] | None:
    """Return the content of a note, or None if there is no note of this version.

    A damaged note counts as none: a warning names it, and the caller does the step again.
    """
    try:
        note = read_sealed(
            path.read_bytes(), path, kind=_FORMAT, version=_VERSION, remedy="this step begins again"
        )
    except FileNotFoundError:
        return None
    except (DamagedFile, UnsupportedFormat) as error:
        _log.warning("unfinished work cannot be resumed: %s", error)
        return None
    content: dict[str, Any] = note["content"]
    return content
