"""The address of a published collection, and what is read there: the list of its files, and small files."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.hub_source import HubPlace
from pairdex.downloads.sources import Sources
from pairdex.downloads.streams import Interrupted, NotThere, shown, split_url
from pairdex.errors import FetchFailed, InvalidArgument
from pairdex.sharing.listing import (
    LISTING,
    LISTING_LIMIT_BYTES,
    Listing,
    PublishedFile,
    parse_listing,
)

__all__ = ["Place", "Published"]

_QUOTED = frozenset({"http", "https", "file"})  # addresses whose paths are percent-encoded
_SCHEMES = "https://, http://, s3://, gs://, az://, hf:// or file://"


@dataclass(frozen=True)
class Published:
    """The list of a published collection, and its version at that place."""

    listing: Listing
    version: str | None


@dataclass(frozen=True)
class Place:
    """The address of a published collection."""

    url: str

    @classmethod
    def at(cls, url: str) -> Place:
        """Return the place at an address.

        Raises
        ------
        InvalidArgument
            It is not an address, has a query or fragment, or names no repository of a hub.
        """
        split = split_url(url)
        if not split.scheme or "://" not in url:
            raise InvalidArgument(f"{url!r} is not an address; expected {_SCHEMES}", field="url")
        if split.query or split.fragment:
            raise InvalidArgument(
                f"{shown(url)} has a query or a fragment; expected the address of a folder",
                field="url",
            )
        if split.scheme == "hf":
            HubPlace.at(url)
        return cls(url.rstrip("/"))

    def __str__(self) -> str:
        return shown(self.url)

    @property
    def scheme(self) -> str:
        """The kind of address."""
        return split_url(self.url).scheme

    def url_of(self, name: str) -> str:
        """Return the address of an object."""
        return f"{self.url}/{quote(name) if self.scheme in _QUOTED else name}"

    def entry(self, file: PublishedFile) -> Entry:
        """Return what to download for a file."""
        return Entry(
            file.path,
            (self.url_of(file.name),),
            bytes=file.bytes,
            bytes_exact=True,
            xxh3=file.checksum,
        )

    def published(self, sources: Sources) -> Published | None:
        """Return the list that is published here; None if there is none.

        Raises
        ------
        FetchFailed, DamagedFile, UnsupportedFormat
            The address cannot be read, or the list is not one.
        """
        try:
            data, version = self.read(LISTING, LISTING_LIMIT_BYTES, sources)
        except NotThere:
            return None
        return Published(parse_listing(data, str(self)), version)

    def listing(self, sources: Sources) -> Listing:
        """Return the list that is published here.

        Raises
        ------
        FetchFailed, DamagedFile, UnsupportedFormat
            There is none, the address cannot be read, or the list is not one.
        """
        published = self.published(sources)
        if published is None:
            raise FetchFailed(
                f"{self} holds no published collection: it has no {LISTING}; "
                "publish one with pairdex push"
            )
        return published.listing

    def read(self, name: str, limit_bytes: int, sources: Sources) -> tuple[bytes, str | None]:
        """Return the bytes of an object, and their version.

        Raises
        ------
        FetchFailed
            There is no such object, or it has more than `limit_bytes`.
        """
        url = self.url_of(name)

        def ask() -> tuple[bytes, str | None]:
            data = bytearray()
            with sources.of(url).open(url) as stream:
                for chunk in stream.chunks:
                    data += chunk
                    if len(data) > limit_bytes:
                        raise FetchFailed(
                            f"{shown(url)} has more than {limit_bytes:,} bytes: it is another file"
                        )
                if stream.total is not None and len(data) != stream.total:
                    raise Interrupted(f"{shown(url)} ended after {len(data):,} bytes")
                return bytes(data), stream.validator

        return sources.tries(url).persist(ask)
