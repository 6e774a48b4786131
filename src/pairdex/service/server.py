"""Running the service: a socket of its own, a clean end at Ctrl-C."""

from __future__ import annotations

import errno
import gc
import ipaddress
import socket
from collections.abc import Callable, Sequence

import uvicorn

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.progress import Progress
from pairdex.service.app import LOOPBACK_HOSTS, make_app
from pairdex.service.http_protocol import LimitedHttpProtocol
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT, GRACE_SECONDS
from pairdex.service.policy import CLOSED, Policy

__all__ = ["serve"]

_MAX_PORT = 65_535


def serve(
    collections: Sequence[Collection],
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    hosts: Sequence[str] | None = None,
    policy: Policy = CLOSED,
    ready: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve collections until a signal ends it; Ctrl-C then raises KeyboardInterrupt, as ever.

    Parameters
    ----------
    host, port
        Address to listen on; port 0 takes a free one.
    token
        What every request for data has to bring as `Authorization: Bearer TOKEN`.
    hosts
        Names the service answers to. By default those of this machine when `host` is one of them,
        else all.
    policy
        What is allowed beyond the defaults.
    ready
        Called with the service's URL once it answers; it may still warm, as `/health` says.
    progress
        Called with what is being made, the rows done and the rows in all, while it warms.

    Raises
    ------
    InvalidArgument
        The address cannot be listened on; nothing to serve; an empty token.
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
        log_config=None,  # as `logs.log_to`, or the caller, has it
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with listening:
        _Server(config, ready=None if ready is None else lambda: ready(url)).run([listening])


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()


def _spare_what_stays() -> None:
    """Take what start and warming have made out of the garbage collector's rounds, which stop all requests.

    With 130,000 objects, mostly of modules, each full round takes 80 ms.
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
    """Return an address that a browser here can open, also where all addresses are listened on."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
