"""Read files of Hugging Face repositories (hf:) over HTTP, all of one commit.

`hf://datasets/OWNER/NAME[@REVISION]/FOLDER`, as Hugging Face's own programs write it. The revision is
looked up once: files that are pushed meanwhile are not mixed with those of the commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.file_source import RemoteSource
from pairdex.downloads.http_source import HttpSource
from pairdex.downloads.hub import Hub
from pairdex.downloads.retry import Hosts, Retry
from pairdex.downloads.streams import Interrupted, Stream, split_url
from pairdex.errors import FetchFailed, InvalidArgument
from pairdex.files import foreign_json

__all__ = ["HubPlace", "HubSource"]

_KINDS = {"datasets": "dataset", "spaces": "space", "models": "model"}
_NAME = r"(?!(?:datasets|spaces|models)/)[A-Za-z0-9][A-Za-z0-9._-]*"
_PLACE = re.compile(
    rf"(?:(?P<kind>datasets|spaces|models)/)?(?P<name>{_NAME}/{_NAME})"
    r"(?:@(?P<revision>[^/@\s]+))?(?:/(?P<path>.*))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ANSWER_LIMIT_BYTES = 8 << 20


@dataclass(frozen=True)
class HubPlace:
    """A folder or file of a repository: its kind (dataset, space or model), name, revision and path."""

    kind: str
    name: str
    revision: str
    path: str

    @classmethod
    def at(cls, url: str) -> HubPlace:
        """Return the place of an hf: address.

        Raises
        ------
        InvalidArgument
            It names no repository.
        """
        split = split_url(url)
        found = _PLACE.fullmatch(f"{split.netloc}{split.path}".rstrip("/"))
        if found is None:
            raise InvalidArgument(
                f"{url[:120]!r} names no repository; expected hf://datasets/OWNER/NAME/FOLDER",
                field="url",
            )
        kind = _KINDS[found["kind"] or "models"]
        return cls(kind, found["name"], found["revision"] or "main", found["path"] or "")

    @property
    def api(self) -> str:
        """Its path in the hub's API."""
        return f"api/{self.kind}s/{self.name}"

    def resolved(self, commit: str) -> str:
        """Return the path of the file at a commit, on the hub."""
        folder = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{folder}{self.name}/resolve/{commit}/{quote(self.path)}"


class HubSource:
    """Reads hf: addresses of the hub that the environment names (`HF_ENDPOINT`, `HF_TOKEN`)."""

    def __init__(self, hosts: Hosts, retry: Retry, listing: RemoteSource) -> None:
        self._hosts, self._retry, self._listing = hosts, retry, listing
        self._hub: Hub | None = None
        self._http: HttpSource | None = None
        self._commits: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            self._http.close()

    @contextmanager
    def open(
        self, url: str, start: int = 0, validator: str | None = None, stop: int | None = None
    ) -> Iterator[Stream]:
        """Open a file at `start` if it still matches `validator`; see `Source`."""
        place = HubPlace.at(url)
        hub, http = self._opened()
        address = f"{hub.endpoint}/{place.resolved(self.commit(place))}"
        with http.open(address, start, validator, stop) as stream:
            yield stream

    def find(self, url: str) -> list[Entry]:
        """Return the files below an address; see `Source`."""
        return self._listing.find(url)

    def commit(self, place: HubPlace) -> str:
        """Return the commit that the revision of a place stands for; looked up once.

        Raises
        ------
        FetchFailed, Interrupted
            The hub does not answer, or has no such revision.
        """
        if _COMMIT.fullmatch(place.revision):
            return place.revision
        known = (place.api, place.revision)
        if known not in self._commits:
            facts = self._json(f"{place.api}/revision/{quote(place.revision, safe='')}")
            commit = str(facts.get("sha")) if isinstance(facts, dict) else ""
            if not _COMMIT.fullmatch(commit):
                raise FetchFailed(
                    f"{self._opened()[0].endpoint} does not answer as a Hugging Face hub: it does not "
                    "state the commit of a revision"
                )
            self._commits[known] = commit
        return self._commits[known]

    def _opened(self) -> tuple[Hub, HttpSource]:
        if self._hub is None or self._http is None:
            self._hub = Hub.from_environment()
            if self._hub.offline:
                raise FetchFailed("HF_HUB_OFFLINE forbids reading hf: addresses; unset it")
            self._http = HttpSource(self._hosts, self._retry, self._hub.headers_of)
        return self._hub, self._http

    def _json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        hub, http = self._opened()
        data = bytearray()
        with http.open(f"{hub.endpoint}/{path}") as stream:
            for chunk in stream.chunks:
                data += chunk
                if len(data) > _ANSWER_LIMIT_BYTES:
                    break
        try:
            return foreign_json.parse(bytes(data))
        except ValueError as error:
            raise Interrupted(f"{hub.host} answers something that is not JSON") from error
