"""The note `pairdex.json` beside encoded parts: which model made them, and from which pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pairdex.errors import DamagedFile
from pairdex.files import foreign_json

__all__ = ["NOTE", "Note", "read_note"]

NOTE = "pairdex.json"


@dataclass(frozen=True)
class Note:
    """How parts were made; empty for released parts.

    `model` is the record of the model, `pictures` the folder that `image_path` is relative to, and
    `source` the files in it that listed or held them, if any. `orientation` is how pictures were
    oriented; `linked` are the outside folders that links in `pictures` point to.
    """

    model: Any = None
    pictures: str | None = None
    source: str | None = None
    orientation: Literal["upright", "as stored"] = "as stored"  # of older notes
    linked: tuple[str, ...] = ()


def read_note(source: Path) -> Note:
    """Read the note in a folder of parts; return an empty note if the file does not exist.

    Raises
    ------
    DamagedFile
        The file is not a valid note.
    """
    path = source / NOTE
    try:
        content = foreign_json.parse(path.read_bytes())
        model = content["model"]
        if model is not None and not {"name", "dim", "checksum", "folder"} <= model.keys():
            raise ValueError(model)
        orientation = content.get("orientation", "as stored")
        if orientation not in ("upright", "as stored"):
            raise ValueError(orientation)
        linked = tuple(str(folder) for folder in content.get("linked", []))
        return Note(model, content["pictures"], content.get("source"), orientation, linked)
    except FileNotFoundError:
        return Note()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{path} is damaged; encode the pictures again") from error
