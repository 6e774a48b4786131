"""Published models by their common names, and the commands that put them into the local cache.

Nothing is fetched here. A name resolves to a folder of the cache, or to an error with the commands
that fill it. They can run on another machine if this one is offline.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pairdex.encoders.model import BUILT_IN
from pairdex.errors import MissingFile

__all__ = ["KNOWN", "KnownModel", "cached_model", "find_known"]

_OPENAI = "https://openaipublic.azureedge.net/clip/models"  # clip/clip.py


@dataclass(frozen=True)
class KnownModel:
    """A published model.

    Attributes
    ----------
    name
        Its publisher's name for it.
    others
        Other names: `ARCHITECTURE/WEIGHTS` in open_clip, repositories.
    folder
        Its folder in the cache.
    fetch
        The command that fetches it.
    source
        The file or folder that the command creates, for `pairdex model export`.
    """

    name: str
    others: tuple[str, ...]
    folder: str
    fetch: str
    source: str

    def commands(self, cache: Path) -> list[str]:
        """Return the commands that put it into the cache."""
        return [
            self.fetch,
            "pip install 'pairdex[export]'",
            f"pairdex model export {self.source} {cache / self.folder} --name {self.name}",
        ]


def _openai(name: str, digest: str, file: str, *others: str) -> KnownModel:
    stem = file.removesuffix(".pt")
    return KnownModel(
        name,
        (f"{stem}-quickgelu", f"{stem}-quickgelu/openai", f"{stem}/openai", *others),
        stem,
        f"curl -LO {_OPENAI}/{digest}/{file}",
        file,
    )


def _hub(name: str, repository: str, *others: str) -> KnownModel:
    place = repository.rpartition("/")[2]
    fetch = f"hf download {repository} --local-dir {place}"
    return KnownModel(name, (repository, *others), name.replace("/", "-"), fetch, place)


KNOWN: tuple[KnownModel, ...] = (
    _openai(
        "ViT-B/32",  # LAION-400M's vectors
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        "ViT-B-32.pt",
        "openai/clip-vit-base-patch32",
    ),
    _openai(
        "ViT-B/16",
        "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
        "ViT-B-16.pt",
        "openai/clip-vit-base-patch16",
    ),
    _openai(
        "ViT-L/14",  # LAION-2B's and LAION-5B's vectors
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        "ViT-L-14.pt",
        "openai/clip-vit-large-patch14",
    ),
    _openai(
        "ViT-L/14@336px",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
        "ViT-L-14-336px.pt",
        "openai/clip-vit-large-patch14-336",
        "ViT-L-14-336-quickgelu/openai",
        "ViT-L-14-336/openai",
    ),
    _hub("ViT-B-32/laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    _hub("ViT-B-32/datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K"),
    _hub("ViT-B-16/laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
    _hub("ViT-B-16/datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K"),
    _hub("ViT-L-14/laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    _hub("ViT-L-14/datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
    _hub("siglip-base-patch16-224", "google/siglip-base-patch16-224", "ViT-B-16-SigLIP/webli"),
)


def find_known(name: str) -> KnownModel | None:
    """Return the published model of a name, compared without case; None if unknown."""
    asked = name.lower()
    for model in KNOWN:
        if asked in (model.name.lower(), *(other.lower() for other in model.others)):
            return model
    return None


def cached_model(name: str, cache: Path) -> str | Path:
    """Return the folder of a model: in the cache for a known name, else the name itself.

    An existing folder of that name takes precedence over the cache.

    Parameters
    ----------
    cache
        The folder of the models that have been exported by name.

    Raises
    ------
    MissingFile
        The model is known, but not in the cache; the message has the commands that put it there.
    """
    known = find_known(name)
    if name == BUILT_IN or Path(name).is_dir() or known is None:
        return name
    folder = cache / known.folder
    if folder.is_dir():
        return folder
    raise MissingFile(
        f"the model {known.name} is not in {cache}; put it there, once, with: "
        + " && ".join(known.commands(cache))
    )
