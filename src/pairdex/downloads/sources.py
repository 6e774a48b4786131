"""The sources of all kinds of addresses, with the connections and waits that they share."""

from __future__ import annotations

from collections.abc import Callable

from pairdex.downloads.file_source import FileSource, RemoteSource
from pairdex.downloads.http_source import HttpSource
from pairdex.downloads.hub_source import HubSource
from pairdex.downloads.object_source import ObjectSource
from pairdex.downloads.object_stores import SCHEMES
from pairdex.downloads.retry import Hosts, Retry, Tries
from pairdex.downloads.streams import Source, host_of, split_url

__all__ = ["Sources"]


class Sources:
    """The source of each kind of address.

    Parameters
    ----------
    retry
        The limits of tries and waits.
    headers_of
        Headers that go with requests to a web address, such as a token; none by default.
    """

    def __init__(
        self, retry: Retry, headers_of: Callable[[str], dict[str, str]] | None = None
    ) -> None:
        self.retry, self.hosts = retry, Hosts(retry)
        self._http = HttpSource(self.hosts, retry, headers_of)
        self._file, self._objects, self._remote = FileSource(), ObjectSource(), RemoteSource()

        self._hub = HubSource(self.hosts, retry, self._remote)

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._hub.close()

    def tries(self, url: str) -> Tries:
        """Return the retry state of an address."""
        return Tries(host_of(url), self.hosts, self.retry)

    def of(self, url: str) -> Source:
        """Return the source that reads an address."""
        scheme = split_url(url).scheme
        if scheme in ("http", "https"):
            return self._http
        if scheme == "hf":
            return self._hub
        if scheme in SCHEMES:
            return self._objects
        return self._file if scheme == "file" else self._remote
