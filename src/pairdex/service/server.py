"""Running the service on a socket, with a clean end at Ctrl-C."""

from __future__ import annotations

import errno
import gc
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

import uvicorn

from pairdex.errors import InvalidArgument
from pairdex.progress import Progress
from pairdex.service.app import LOOPBACK_HOSTS, make_app
from pairdex.service.catalogue import Served
from pairdex.service.http_protocol import LimitedHttpProtocol
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT, GRACE_SECONDS
from pairdex.service.policy import CLOSED, Policy

__all__ = ["serve"]

_MAX_PORT = 65_535


def serve(
    collections: Served | Iterable[Served],
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    hosts: Sequence[str] | None = None,
    policy: Policy = CLOSED,
    ready: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve collections until a signal ends the service; Ctrl-C then raises KeyboardInterrupt.

    Parameters
    ----------
    collections
        One or more, opened or as paths; the first is the default.
    host, port
        Address to listen on; port 0 takes a free one.
    token
        Requests for data must carry it as `Authorization: Bearer TOKEN`.
    hosts
        Host names that the service answers to. Default: the names of this machine if `host` is one
        of them, otherwise all.
    policy
        What is allowed beyond the defaults.
    ready
        Called with the service's URL once it answers. It may still be warming: see `/health`.
    progress
        Called from another thread as (step, rows done, rows) while the service warms.

    Raises
    ------
    InvalidArgument
        The address cannot be used, no collection is given, or the token is empty.
    MissingFile, DamagedFile, UnsupportedFormat
        A path has no collection, a damaged one, or one of a newer format version.
    """
    if hosts is None and _is_loopback(host):
        hosts = sorted({*LOOPBACK_HOSTS, _in_url(host)})
    app = make_app(collections, token=token, hosts=hosts, policy=policy, progress=progress)
    app.state.reloader.when_warm = _spare_what_stays
    listening = _listen(host, port)
    url = f"http://{_in_url(_reachable(host))}:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        http=LimitedHttpProtocol,
        lifespan="on",
        log_config=None,  # `logs.log_to`, or the caller, configures it
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with listening:
        _Server(config, ready=None if ready is None else lambda: ready(url)).run([listening])


class _Server(uvicorn.Server):
    """Calls `ready` once it answers."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()


def _spare_what_stays() -> None:
    """Exclude the objects made so far from garbage collection, which stops all requests.

    With 130,000 objects, mostly of modules, each full collection takes 80 ms.
    """
    gc.collect()
    gc.freeze()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _MAX_PORT:
        raise InvalidArgument(f"the port is {port}, expected 0 to {_MAX_PORT}", field="port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InvalidArgument(
            f"the host {host!r} cannot be found: {error}", field="host"
        ) from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise _refusal(host, port, error) from error
    return listening


def _refusal(host: str, port: int, error: OSError) -> InvalidArgument:
    if error.errno == errno.EADDRINUSE:
        return InvalidArgument(
            f"port {port} of {host} is in use; choose another, or 0 for a free one", field="port"
        )
    reason = (error.strerror or str(error)).lower()
    return InvalidArgument(f"cannot listen on port {port} of {host}: {reason}", field="host")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _reachable(host: str) -> str:
    """Return an address that a browser on this machine can open, even if `host` means all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
