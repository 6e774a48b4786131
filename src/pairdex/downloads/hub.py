"""A Hugging Face hub: where the files of a repository lie, and with which checksums.

Three environment variables decide, as in Hugging Face's own programs: `HF_ENDPOINT` (the hub or a
mirror), `HF_TOKEN`, and `HF_HUB_OFFLINE`. The token goes to the hub only, not to the servers that
it redirects to.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.streams import host_of, split_url
from pairdex.errors import DamagedFile, FetchFailed, InvalidArgument
from pairdex.files import foreign_json
from pairdex.files.foreign_names import local_name

if TYPE_CHECKING:
    from pairdex.downloads.sources import Sources

__all__ = [
    "DEFAULT_ENDPOINT",
    "Hub",
    "HubFile",
    "Repository",
    "blob_id",
    "cached_blob",
    "cached_snapshot",
]

DEFAULT_ENDPOINT = "https://huggingface.co"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})  # what Hugging Face's programs take for yes
_ANSWER_LIMIT_BYTES = 8 << 20  # a listing of a model takes a few kilobytes
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its size, and the checksum that the hub states.

    `sha256` is that of a large file (LFS); `blob` is git's own checksum of a small one.
    """

    path: str
    bytes: int
    sha256: str | None
    blob: str | None

    def is_same(self, path: Path) -> bool:
        """Return whether a copy has the size and the checksum that the hub states."""
        if path.stat().st_size != self.bytes:
            return False
        if self.sha256 is not None:
            return _digested(path, hashlib.sha256()) == self.sha256
        return self.blob is None or blob_id(path) == self.blob

    def check(self, path: Path) -> None:
        """Compare a copy with the size and the checksum that the hub states.

        Raises
        ------
        DamagedFile
            They differ.
        """
        if not self.is_same(path):
            raise DamagedFile(
                f"{path} ({path.stat().st_size:,} bytes) differs from the hub's {self.path} "
                f"({self.bytes:,} bytes)"
            )


@dataclass(frozen=True)
class Repository:
    """One commit of a repository: all its files by path."""

    name: str
    commit: str
    files: dict[str, HubFile]


@dataclass(frozen=True)
class Hub:
    """The hub that the environment names.

    Attributes
    ----------
    endpoint
        Its address, without a slash at the end.
    token
        Sent to the hub; None without one.
    offline
        True if nothing may be fetched.
    """

    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = None
    offline: bool = False

    @classmethod
    def from_environment(cls) -> Hub:
        """Return the hub of `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`.

        Raises
        ------
        InvalidArgument
            `HF_ENDPOINT` is not a web address, or `HF_TOKEN` cannot be sent.
        """
        endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or DEFAULT_ENDPOINT
        split = split_url(endpoint)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise InvalidArgument(
                f"HF_ENDPOINT is {endpoint!r}, expected a web address such as {DEFAULT_ENDPOINT}",
                field="HF_ENDPOINT",
            )
        token = os.environ.get("HF_TOKEN", "").strip() or None
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InvalidArgument(
                "HF_TOKEN holds characters that a token cannot have", field="HF_TOKEN"
            )
        offline = os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in _TRUE
        return cls(endpoint, token, offline)

    @property
    def host(self) -> str:
        """Its host, with the port if there is one."""
        return host_of(self.endpoint)

    def headers_of(self, url: str) -> dict[str, str]:
        """Return the headers of a request: the token, if the address is one of the hub."""
        is_ours = self.token is not None and url.startswith(f"{self.endpoint}/")
        return {"Authorization": f"Bearer {self.token}"} if is_ours else {}

    def url(self, repository: str, commit: str, path: str) -> str:
        """Return the address of a file."""
        return f"{self.endpoint}/{repository}/resolve/{commit}/{quote(path)}"

    def repository(self, name: str, revision: str, sources: Sources) -> Repository:
        """Return the commit that a revision stands for, and its files.

        Raises
        ------
        FetchFailed
            The repository does not exist or is not public, the hub cannot be reached, or the address
            is not one of a hub.
        """
        commit = revision
        if not _COMMIT.fullmatch(revision):
            facts = self._json(f"{name}/revision/{quote(revision, safe='')}", sources)
            commit = str(facts.get("sha")) if isinstance(facts, dict) else ""
            if not _COMMIT.fullmatch(commit):
                raise self._nonsense("it does not state the commit of a revision")
        entries = self._json(f"{name}/tree/{commit}?recursive=true", sources)
        try:
            files = [_hub_file(entry) for entry in entries if entry["type"] == "file"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._nonsense("its list of files is not one") from error
        return Repository(name, commit, {file.path: file for file in files})

    def entries(self, repository: Repository, files: Sequence[HubFile]) -> list[Entry]:
        """Return what to download, under the files' own names."""
        return [
            Entry(
                file.path,
                (self.url(repository.name, repository.commit, file.path),),
                bytes=file.bytes,
                bytes_exact=True,
                sha256=file.sha256,
            )
            for file in files
        ]

    def _json(self, path: str, sources: Sources) -> Any:  # noqa: ANN401 - JSON
        url = f"{self.endpoint}/api/models/{path}"

        def ask() -> bytes:
            data = bytearray()
            with sources.of(url).open(url) as stream:
                for chunk in stream.chunks:
                    data += chunk
                    if len(data) > _ANSWER_LIMIT_BYTES:
                        raise self._nonsense("its answer is too long")
            return bytes(data)

        try:
            return foreign_json.parse(sources.tries(url).persist(ask))
        except ValueError as error:
            raise self._nonsense("its answer is not JSON") from error

    def _nonsense(self, what: str) -> FetchFailed:
        return FetchFailed(f"{self.endpoint} does not answer as a Hugging Face hub: {what}")


def blob_id(path: Path) -> str:
    """Return git's checksum of a file's content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    return _digested(path, digest)


def _digested(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _hub_file(entry: dict[str, Any]) -> HubFile:
    """Read an entry of the list; a large file has its checksum and size under `lfs`."""
    large = entry.get("lfs")
    sha256 = None if large is None else str(large["oid"]).removeprefix("sha256:")
    size = int(entry["size"] if large is None else large["size"])
    if size < 0 or (sha256 is not None and not _SHA256.fullmatch(sha256)):
        raise ValueError(entry)
    path = local_name(entry["path"], "path")
    blob = entry.get("oid") if large is None else None
    return HubFile(path, size, sha256, None if blob is None else str(blob))


def cached_snapshot(repository: str, revision: str) -> Path | None:
    """Return the folder in which Hugging Face's own programs keep a commit; None if they have none."""
    place = _cache_of(repository)
    try:
        commit = (place / "refs" / revision).read_text("ascii").strip()
    except (OSError, ValueError):
        commit = revision
    folder = place / "snapshots" / commit
    return folder if _COMMIT.fullmatch(commit) and folder.is_dir() else None


def cached_blob(repository: str, sha256: str) -> Path | None:
    """Return a large file that Hugging Face's own programs have fetched; None if they have not."""
    path = _cache_of(repository) / "blobs" / sha256
    return path.resolve() if path.is_file() else None


def _cache_of(repository: str) -> Path:
    """Return a repository's folder in `HF_HUB_CACHE`, or in `hub` of `HF_HOME`."""
    named, home = os.environ.get("HF_HUB_CACHE"), os.environ.get("HF_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(named or Path(home or Path(base) / "huggingface") / "hub")
    return cache / f"models--{repository.replace('/', '--')}"
