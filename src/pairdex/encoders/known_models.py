"""Published models by their common names: where each lies on the hub, and its checksum.

Repositories and activations are those of open_clip 3.3.0 (`pretrained.py`); names and the source of
each vector set are in docs/models.md. `revision` and `sha256` are pinned where they are published;
for the others the hub's own checksum is compared and recorded.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairdex.encoders.export.towers import Activation

__all__ = [
    "KNOWN",
    "KnownModel",
    "cached_at",
    "find_known",
    "find_repository",
    "is_same_name",
    "model_cache",
]

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+)?")


@dataclass(frozen=True)
class KnownModel:
    """A published model.

    Attributes
    ----------
    name
        Its publisher's name for it.
    repository
        Its repository on the hub.
    dim
        The dimension of its vectors; None if unknown.
    others
        Other names: `ARCHITECTURE/WEIGHTS` in open_clip, repositories.
    revision
        The commit to fetch; `main` is the newest one.
    sha256, bytes
        Of the weights in that commit; None if not published.
    activation
        Of both towers; None takes the one that its configuration states.
    """

    name: str
    repository: str
    dim: int | None
    others: tuple[str, ...] = ()
    revision: str = "main"
    sha256: str | None = None
    bytes: int | None = None
    activation: Activation | None = None

    @property
    def folder(self) -> str:
        """Its folder in the cache; two dashes keep the parts of any repository's name apart."""
        return re.sub(r"[/@]", "-" if self.dim else "--", self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name, self.repository, *self.others)


def _openai(
    name: str,
    repository: str,
    dim: int,
    revision: str,
    *,
    sha256: str | None = None,
    size: int | None = None,
    others: tuple[str, ...] = (),
) -> KnownModel:
    stem = re.sub(r"px$", "", name.replace("/", "-").replace("@", "-"))
    names = (f"{stem}-quickgelu", f"{stem}-quickgelu/openai", f"{stem}/openai", *others)
    return KnownModel(
        name, f"timm/{repository}", dim, names, revision, sha256, size, activation="quick_gelu"
    )


def _laion(
    name: str,
    repository: str,
    dim: int,
    revision: str = "main",
    *,
    sha256: str | None = None,
    size: int | None = None,
) -> KnownModel:
    return KnownModel(
        name, f"laion/{repository}", dim, (), revision, sha256, size, activation="gelu"
    )


KNOWN: tuple[KnownModel, ...] = (
    _openai(
        "ViT-B/32",  # LAION-400M's vectors
        "vit_base_patch32_clip_224.openai",
        512,
        "a6f597a30f7b82c51704746581f9a4e41421e878",
        sha256="e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
        size=605_143_284,
        others=("openai/clip-vit-base-patch32",),
    ),
    _openai(
        "ViT-B/16",
        "vit_base_patch16_clip_224.openai",
        512,
        "977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d",
        sha256="4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f",
        others=("openai/clip-vit-base-patch16",),
    ),
    _openai(
        "ViT-L/14",  # LAION-2B's and LAION-5B's vectors
        "vit_large_patch14_clip_224.openai",
        768,
        "18d0535469bb561bf468d76c1d73aa35156c922b",
        sha256="9ce2e8a8ebfff3793d7d375ad6d3c35cb9aebf3de7ace0fc7308accab7cd207e",
        size=1_710_517_724,
        others=("openai/clip-vit-large-patch14",),
    ),
    _openai(
        "ViT-L/14@336px",
        "vit_large_patch14_clip_336.openai",
        768,
        "main",
        others=("openai/clip-vit-large-patch14-336",),
    ),
    _laion(
        "ViT-B-32/laion2b_s34b_b79k",
        "CLIP-ViT-B-32-laion2B-s34B-b79K",
        512,
        "1a25a446712ba5ee05982a381eed697ef9b435cf",
        sha256="ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
        size=605_143_316,
    ),
    _laion("ViT-B-32/datacomp_xl_s13b_b90k", "CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 512),
    _laion("ViT-B-16/laion2b_s34b_b88k", "CLIP-ViT-B-16-laion2B-s34B-b88K", 512),
    _laion("ViT-B-16/datacomp_xl_s13b_b90k", "CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 512),
    _laion("ViT-L-14/laion2b_s32b_b82k", "CLIP-ViT-L-14-laion2B-s32B-b82K", 768),
    _laion("ViT-L-14/datacomp_xl_s13b_b90k", "CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 768),
    KnownModel(
        "siglip-base-patch16-224",
        "google/siglip-base-patch16-224",
        768,
        ("ViT-B-16-SigLIP/webli",),
    ),
    KnownModel("siglip2-base-patch16-224", "google/siglip2-base-patch16-224", 768),
    *(
        KnownModel(name, f"wkcn/{name}", 512)
        for name in (
            "TinyCLIP-ViT-8M-16-Text-3M-YFCC15M",
            "TinyCLIP-ViT-39M-16-Text-19M-YFCC15M",
            "TinyCLIP-ViT-61M-32-Text-29M-LAION400M",
        )
    ),
)


def find_known(name: str) -> KnownModel | None:
    """Return the published model of a name, compared without case; None if unknown."""
    asked = name.lower()
    for model in KNOWN:
        if asked in (other.lower() for other in model.names):
            return model
    return None


def find_repository(name: str) -> KnownModel | None:
    """Return the model of any repository, `OWNER/NAME` or `OWNER/NAME@REVISION`; None for other names."""
    if not _REPOSITORY.fullmatch(name):
        return None
    repository, _, revision = name.partition("@")
    return KnownModel(name, repository, None, revision=revision or "main")


def is_same_name(one: str, other: str) -> bool:
    """Return whether two names stand for the same model."""
    known = find_known(one)
    return one.lower() == other.lower() or (known is not None and known is find_known(other))


def cached_at(folder: Path) -> KnownModel | None:
    """Return the published model that the cache keeps in a folder; None for any other folder."""
    inside = folder.parent == model_cache()
    return next((model for model in KNOWN if inside and model.folder == folder.name), None)


def model_cache() -> Path:
    """Return the folder of fetched models: `PAIRDEX_MODELS`, or `pairdex/models` in the XDG cache."""
    named = os.environ.get("PAIRDEX_MODELS")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pairdex" / "models"
