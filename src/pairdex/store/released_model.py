"""Which model made the vectors of released parts: what the release says, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pairdex.downloads.catalogue import load_catalogue
from pairdex.downloads.record import Record
from pairdex.encoders.known_models import find_known
from pairdex.files.vectors import VectorFile
from pairdex.parts.bundle import BundleVectors
from pairdex.parts.model_record import ModelRecord
from pairdex.parts.part import Part

__all__ = ["model_note", "released_model"]

# DataComp's two models by their arrays: both are OpenAI's, as the names of its score columns say.
_DATACOMP = {"b32_img": "ViT-B/32", "l14_img": "ViT-L/14"}
_SISAP = "laion2B-en-clip768"  # how the names of SISAP's bundles begin
_OF_BUNDLES = "ViT-L/14"
# Columns that only one release has, with the dimension of its vectors.
_LAYOUTS = (
    ("LAION-400M", 512, {"nsfw", "license", "similarity"}, "ViT-B/32"),
    ("LAION-2B-en", 768, {"nsfw", "license", "similarity"}, "ViT-L/14"),
)


def released_model(source: Path, parts: Sequence[Part]) -> ModelRecord | None:
    """Return the model of released parts; None if they do not say it.

    Parts say it by the release that `pairdex fetch` noted, or by a layout that only one release has:
    DataComp's arrays, the bundles of SISAP.
    """
    records = [Record(folder) for folder in (source, source.parent) if folder.is_dir()]
    names = {_of_layout(part) or _of_fetched(records, part) for part in parts}
    name = names.pop() if len(names) == 1 else None
    known = None if name is None else find_known(name)
    if known is None or known.dim != parts[0].dim:
        return None
    return {"name": known.name, "dim": known.dim, "checksum": None, "folder": None}


def model_note(parts: Sequence[Part], collection: Path) -> str:
    """Return which model parts look like, and how to record it; empty if they look like none."""
    columns = {name.lower() for name in parts[0].schema.names}
    for layout, dim, names, model in _LAYOUTS:
        if parts[0].dim == dim and names <= columns:
            return (
                f"the parts do not say which model made their vectors; {dim} dimensions and the columns "
                f"of {layout} look like {model}: record it with pairdex model set {collection} {model}"
            )
    return ""


def _of_layout(part: Part) -> str | None:
    image = part.image
    if isinstance(image, VectorFile) and image.member is not None:
        return _DATACOMP.get(image.member)
    if isinstance(image, BundleVectors) and image.path.name.startswith(_SISAP):
        return _OF_BUNDLES
    return None


def _of_fetched(records: Sequence[Record], part: Part) -> str | None:
    """Return the model of the release that a part was fetched from."""
    for record in records:
        known = record.find_path(part.image.path)
        release = None if known is None else known.release
        if release in load_catalogue():
            return load_catalogue()[release].model
    return None
