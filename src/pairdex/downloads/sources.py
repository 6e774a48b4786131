"""The sources of all kinds of addresses, with the connections and waits that they share."""

from __future__ import annotations

from collections.abc import Callable

from pairdex.downloads.file_source import FileSource, RemoteSource
from pairdex.downloads.http_source import HttpSource
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
        self._file, self._remote = FileSource(), RemoteSource()

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def tries(self, url: str) -> Tries:
        """Return the retry state of an address."""
        return Tries(host_of(url), self.hosts, self.retry)

    def of(self, url: str) -> Source:
        """Return the source that reads an address."""
        scheme = split_url(url).scheme
        if scheme in ("http", "https"):
            return self._http
        return self._file if scheme == "file" else self._remote
