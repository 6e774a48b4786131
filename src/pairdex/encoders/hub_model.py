"""The files of a published model on the hub: which ones are needed, and how they arrive verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pairdex.downloads.download import Arrival
from pairdex.downloads.fetch import bring_files
from pairdex.downloads.hub import Hub, HubFile, Repository, cached_blob, cached_snapshot
from pairdex.downloads.sources import Sources
from pairdex.encoders.export.hf_folder import HF_CONFIG
from pairdex.encoders.export.open_clip_folder import OPEN_CLIP_CONFIG
from pairdex.encoders.export.tokenizers import is_clip_tokenizer, tokenizer_of
from pairdex.encoders.known_models import KnownModel
from pairdex.errors import DamagedFile, FetchFailed, UnsupportedFormat
from pairdex.files import atomic
from pairdex.progress import StepProgress

__all__ = [
    "WEIGHTS",
    "HubFiles",
    "PublishedFiles",
    "published_files",
    "weights_in",
    "whole_snapshot",
]

_TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt")
_OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
_HF_WEIGHTS = ("model.safetensors",)
WEIGHTS = " or ".join(_OPEN_CLIP_WEIGHTS + _HF_WEIGHTS)
_HF_FILES = (
    HF_CONFIG,
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
)
# CLIP's vocabulary for repositories without one; what is made of it has a published checksum.
_VOCABULARY = ("openai/clip-vit-base-patch32", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")


@dataclass(frozen=True)
class PublishedFiles:
    """The files of a model that are needed: its weights, and all others."""

    weights: HubFile
    others: tuple[HubFile, ...]

    @property
    def all(self) -> tuple[HubFile, ...]:
        """The small files first: what is wrong with them shows before the weights arrive."""
        return (*self.others, self.weights)

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(file.bytes for file in self.all)

    @property
    def has_tokenizer(self) -> bool:
        """Whether a tokenizer is among them."""
        names = {file.path for file in self.others}
        whole, *pair = _TOKENIZER
        return whole in names or names.issuperset(pair)


def published_files(known: KnownModel, repository: Repository) -> PublishedFiles:
    """Choose the files of a model.

    Raises
    ------
    UnsupportedFormat
        The repository has no weights as safetensors, or no tokenizer of a kind that is known.
    FetchFailed
        The hub states another checksum of the weights than the published one, or none.
    """
    files = repository.files
    is_open_clip = OPEN_CLIP_CONFIG in files and any(name in files for name in _OPEN_CLIP_WEIGHTS)
    names = _OPEN_CLIP_WEIGHTS if is_open_clip else _HF_WEIGHTS
    weights = next((files[name] for name in names if name in files), None)
    if weights is None:
        raise UnsupportedFormat(
            f"{repository.name}@{repository.commit[:8]} has no weights that pairdex can fetch; expected "
            f"{WEIGHTS}; bring its files and convert them with pairdex model export"
        )
    _check_stated(known, repository, weights)
    others = (OPEN_CLIP_CONFIG, *_TOKENIZER) if is_open_clip else (*_HF_FILES, *_TOKENIZER)
    chosen = tuple(files[name] for name in others if name in files)
    found = PublishedFiles(replace(weights, sha256=known.sha256 or weights.sha256), chosen)
    if not is_open_clip and not found.has_tokenizer:  # it may be one of several kinds
        raise UnsupportedFormat(
            f"{repository.name}@{repository.commit[:8]} has no tokenizer.json; make it with transformers "
            "and convert the model with pairdex model export"
        )
    return found


def _check_stated(known: KnownModel, repository: Repository, weights: HubFile) -> None:
    stated = weights.sha256
    if stated is None:
        raise FetchFailed(f"{repository.name} states no SHA-256 of {weights.path}")
    if known.sha256 not in (None, stated):
        raise FetchFailed(
            f"{repository.name} offers a {weights.path} with the SHA-256 {stated}, "
            f"the published one is {known.sha256}: it is another file"
        )


@dataclass(frozen=True)
class HubFiles:
    """Brings files of a hub into a folder."""

    hub: Hub
    sources: Sources

    @property
    def host(self) -> str:
        """The host of the hub."""
        return self.hub.host

    def repository(self, name: str, revision: str) -> Repository:
        """Return a commit and its files; see `Hub.repository`."""
        return self.hub.repository(name, revision, self.sources)

    def bring(
        self,
        repository: Repository,
        files: Sequence[HubFile],
        folder: Path,
        progress: StepProgress | None = None,
    ) -> int:
        """Download files, compare each with its checksum, and return the bytes received.

        Raises
        ------
        FetchFailed
            A file cannot be fetched, or its bytes are not the published ones.
        WriteFailed
            The disk is full.
        """
        received = 0
        for file in files:
            _prepare(repository, file, folder)
        entries = self.hub.entries(repository, files)
        for result in bring_files(entries, folder, self.sources, jobs=1, progress=progress):
            if not isinstance(result, Arrival):
                raise result[1]
            received += result.received
        for file in files:
            if file.sha256 is None:  # the others were verified as they arrived
                _check_small(file, folder / file.path)
        return received

    def bring_vocabulary(self, folder: Path) -> int:
        """Download CLIP's vocabulary for a repository without one; return the bytes received.

        Raises
        ------
        FetchFailed
            It cannot be fetched, or is not the published one.
        """
        name, revision = _VOCABULARY
        repository = self.repository(name, revision)
        try:
            wanted = [repository.files[file] for file in _TOKENIZER[1:]]
        except KeyError as error:
            raise FetchFailed(f"{name} has no file {error}") from error
        received = self.bring(repository, wanted, folder)
        tokenizer = tokenizer_of(folder)
        if tokenizer is None or not is_clip_tokenizer(tokenizer):
            for file in wanted:
                (folder / file.path).unlink()
            raise FetchFailed(f"the vocabulary in {name} is not the published one of CLIP")
        return received


def whole_snapshot(known: KnownModel) -> Path | None:
    """Return the folder in which Hugging Face's own cache holds the whole model, if it does."""
    found = cached_snapshot(known.repository, known.revision)
    if found is None or weights_in(found) is None:
        return None
    whole, *pair = _TOKENIZER
    has_tokenizer = (found / whole).is_file() or all((found / one).is_file() for one in pair)
    return found if has_tokenizer else None


def weights_in(folder: Path) -> Path | None:
    """Return the weights in a local folder of a model; None if it has none."""
    names = _OPEN_CLIP_WEIGHTS if (folder / OPEN_CLIP_CONFIG).is_file() else _HF_WEIGHTS
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _prepare(repository: Repository, file: HubFile, folder: Path) -> None:
    """Remove a small file of another version; link to a large one of Hugging Face's own programs.

    A linked file is verified like any other.
    """
    path = folder / file.path
    if file.sha256 is None:
        if path.is_file() and not file.is_same(path):
            path.unlink()
        return
    found = cached_blob(repository.name, file.sha256)
    if found is not None and not path.exists():
        atomic.make_folder(folder)
        path.unlink(missing_ok=True)  # a link that leads nowhere
        path.symlink_to(found)


def _check_small(file: HubFile, path: Path) -> None:
    try:
        file.check(path)
    except DamagedFile as error:
        path.unlink()
        raise FetchFailed(f"{error}: the source is damaged, or was cut off") from error
