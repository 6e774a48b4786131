"""Fetching a published model: its files from the hub, verified, then converted to a model folder.

The files arrive in a hidden folder of the cache, where an interrupted download resumes. The model
folder is written aside and renamed.
"""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.downloads.catalogue import nearest
from pairdex.downloads.hub import Hub, HubFile
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.encoders.announce import Announce, announced
from pairdex.encoders.export.export import convert
from pairdex.encoders.hub_model import (
    WEIGHTS,
    HubFiles,
    published_files,
    weights_in,
    whole_snapshot,
)
from pairdex.encoders.known_models import (
    KNOWN,
    KnownModel,
    find_known,
    find_repository,
    model_cache,
)
from pairdex.encoders.model import Model, load_model
from pairdex.errors import (
    DamagedFile,
    FetchFailed,
    InvalidArgument,
    MissingFile,
)
from pairdex.progress import Progress, at_step
from pairdex.wording import size

__all__ = ["ModelFetchReport", "bring_model", "fetch_model"]

_STEP = "fetching the model"
_DOWNLOADS = ".downloads"  # in the cache
_QUICK = Retry(first_attempts=2)  # a hub that cannot be reached is said to be so within seconds


@dataclass(frozen=True)
class ModelFetchReport:
    """A model in the cache.

    Attributes
    ----------
    files, bytes
        Of the model folder.
    received
        Bytes that were downloaded; 0 if the model was in the cache or came from a local folder.
    source
        Where the weights came from, with commit and SHA-256, as `model.json` records it.
    already
        Whether the model was in the cache before.
    """

    model: str
    dim: int
    folder: str
    files: list[str]
    bytes: int
    received: int
    source: str
    checksum: str
    already: bool
    seconds: float


@checked
def fetch_model(
    name: str,
    *,
    source: StrPath | None = None,
    progress: Progress | None = None,
) -> ModelFetchReport:
    """Fetch a published model into the cache of models, verify it, and convert it; resumable.

    The hub, a token and offline work are set by `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`. The
    cache is `PAIRDEX_MODELS`, or `pairdex/models` in the user's cache folder.

    Parameters
    ----------
    name
        The name of a published model, such as `ViT-B/32`; or a repository of the hub, `OWNER/NAME`
        or `OWNER/NAME@REVISION`.
    source
        A local folder with the repository's files; nothing is downloaded then.
    progress
        Called with the step, the bytes done and the bytes in all. Without it, one line on stderr says
        what is fetched.

    Returns
    -------
    ModelFetchReport
        The model, its folder and its checksum.

    Raises
    ------
    InvalidArgument
        The name is not one of a model.
    FetchFailed
        The hub cannot be reached, the model is not there, or its bytes are not the published ones.
    PairdexError
        The model cannot be converted, or the disk is full.
    """
    return bring_model(
        _named(name),
        source=None if source is None else Path(source),
        announce=announced if progress is None else lambda _: nullcontext(progress),
    )


def bring_model(
    known: KnownModel,
    *,
    source: Path | None = None,
    announce: Announce,
    retry: Retry = _QUICK,
) -> ModelFetchReport:
    """Ensure that the cache holds a model; see `fetch_model`."""
    started = time.perf_counter()
    folder = model_cache() / known.folder
    model, received = _present(folder), 0
    already = model is not None
    if model is None:
        received = _obtain(known, folder, source, announce, retry)
        model = load_model(folder)
    files = sorted(path.name for path in folder.iterdir())
    return ModelFetchReport(
        model=model.name,
        dim=model.dim,
        folder=str(folder),
        files=files,
        bytes=sum((folder / file).stat().st_size for file in files),
        received=received,
        source=model.source,
        checksum=model.checksum,
        already=already,
        seconds=time.perf_counter() - started,
    )


def _named(name: str) -> KnownModel:
    known = find_known(name) or find_repository(name)
    if known is None:
        names = [model.name for model in KNOWN]
        raise InvalidArgument(
            f"no published model is called {name!r}{nearest(name, names)}; there are "
            f"{', '.join(names)}, and repositories of the hub (OWNER/NAME)",
            field="name",
        )
    return known


def _present(folder: Path) -> Model | None:
    """Return the model in the cache; discard a damaged one, which is then fetched again."""
    if not folder.is_dir():
        return None
    try:
        return load_model(folder)
    except (DamagedFile, MissingFile):
        shutil.rmtree(folder)
        return None


def _obtain(
    known: KnownModel, folder: Path, source: Path | None, announce: Announce, retry: Retry
) -> int:
    """Make the model folder from local files or from the hub; return the bytes received."""
    local = source or whole_snapshot(known)
    if local is not None:
        _convert_local(known, local, folder, announce)
        return 0
    hub = Hub.from_environment()
    if hub.offline:
        raise MissingFile(
            f"the model {known.name} is not in {folder.parent}, and HF_HUB_OFFLINE forbids to fetch "
            f"it; unset HF_HUB_OFFLINE, or copy {folder} from a machine that has it, or bring its "
            f"files (hf download {known.repository} --local-dir DIR) and run: "
            f"pairdex model fetch {known.name} --from DIR"
        )
    try:
        with Sources(retry, hub.headers_of) as sources:
            return _fetch(known, folder, HubFiles(hub, sources), announce)
    except FetchFailed as error:
        raise FetchFailed(f"{error}; {_advice(known, hub, str(error))}") from error


def _advice(known: KnownModel, hub: Hub, error: str) -> str:
    if "answers 401" in error or "answers 403" in error:
        return f"set HF_TOKEN to a token that may read {known.repository}"
    return (
        f"the model {known.name} needs {known.repository} of {hub.host}: run the same command again, "
        "set HF_ENDPOINT to a mirror, or bring its files from another machine "
        f"(hf download {known.repository} --local-dir DIR) and run: "
        f"pairdex model fetch {known.name} --from DIR"
    )


def _convert_local(known: KnownModel, local: Path, folder: Path, announce: Announce) -> None:
    weights = weights_in(local)
    if weights is None:
        raise MissingFile(f"{local} holds no weights of a model; expected {WEIGHTS}")
    weights_bytes = weights.stat().st_size
    file = HubFile(weights.name, known.bytes or weights_bytes, known.sha256, None)
    try:
        file.check(weights)
    except DamagedFile as error:
        raise DamagedFile(
            f"{weights} is not the published one of {known.name}: its SHA-256 is not {known.sha256}; "
            "fetch it again"
        ) from error
    with announce(
        f"converting the model {known.name} from {local} ({size(weights_bytes)}) into {folder.parent}"
    ):
        _convert(known, local, folder, f"from {weights.name} of {local.resolve()}")


def _fetch(known: KnownModel, folder: Path, hub: HubFiles, announce: Announce) -> int:
    """Download a model and convert it; return the bytes received."""
    repository = hub.repository(known.repository, known.revision)
    files = published_files(known, repository)
    downloads = folder.parent / _DOWNLOADS / folder.name
    line = (
        f"fetching the model {known.name}: {repository.name}@{repository.commit[:8]} from "
        f"{hub.host}, {size(files.bytes)}, into {folder.parent}"
    )
    with announce(line) as progress:
        received = hub.bring(repository, files.all, downloads, at_step(progress, _STEP))
        if not files.has_tokenizer:
            received += hub.bring_vocabulary(downloads)
        if not folder.is_dir():  # another process may have been faster
            origin = f"from {repository.name}@{repository.commit}, SHA-256 {files.weights.sha256}"
            _convert(known, downloads, folder, origin)
    shutil.rmtree(downloads, ignore_errors=True)
    return received


def _convert(known: KnownModel, published: Path, folder: Path, origin: str) -> None:
    convert(published, folder, name=known.name, activation=known.activation, origin=origin)
