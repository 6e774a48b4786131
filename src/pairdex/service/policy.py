"""What a service allows beyond its defaults: other sites, a request rate, hosts to fetch from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pairdex.errors import InvalidArgument
from pairdex.service.limits import MAX_RATE

__all__ = ["CLOSED", "Policy"]

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_HOST = re.compile(
    r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
)


@dataclass(frozen=True)
class Policy:
    """Exceptions to the defaults; without arguments it allows none.

    Attributes
    ----------
    cors
        Origins of pages that may read responses: `https://gallery.example`.
    rate
        Requests per second from one address; None: unlimited.
    proxy_hosts
        Hosts to fetch pictures from: `images.example`, or `*.images.example` for all below it.
        Empty: nothing is fetched.

    Raises
    ------
    InvalidArgument
        An origin, a rate or a host is invalid.
    """

    cors: tuple[str, ...] = ()
    rate: float | None = None
    proxy_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for origin in self.cors:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidArgument(
                    f"the origin {origin!r:.80} is invalid; expected one like https://gallery.example, "
                    "without a path and in lower case",
                    field="cors",
                )
        if self.rate is not None and not 0 < self.rate <= MAX_RATE:
            raise InvalidArgument(
                f"the rate is {self.rate:g} requests per second, expected more than 0 and at most "
                f"{MAX_RATE:,}",
                field="rate",
            )
        for host in self.proxy_hosts:
            if not _HOST.fullmatch(host):
                raise InvalidArgument(
                    f"the host {host!r:.80} is invalid; expected one like images.example or "
                    "*.images.example, in lower case",
                    field="proxy_hosts",
                )


CLOSED = Policy()
