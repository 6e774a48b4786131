"""The socket that a service listens on: an address and a port, or a file."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from pairdex.errors import InvalidArgument

__all__ = ["is_loopback", "listen", "listen_on_file", "remove_socket", "url_host", "url_of"]

_MAX_PORT = 65_535
_MAX_SOCKET_PATH_BYTES = 107  # of sockaddr_un, without its final zero
_SOCKET_MODE = 0o660  # the proxy's user is in the service's group


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes a free one.

    Raises
    ------
    InvalidArgument
        The address does not exist, is in use, or is not allowed.
    """
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


def listen_on_file(path: Path) -> socket.socket:
    """Return a socket that listens on a file, which the owner and the group may connect to.

    A socket that an earlier service left behind is replaced.

    Raises
    ------
    InvalidArgument
        The path is too long, in use, not a socket, or cannot be made.
    """
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
        raise _socket_refusal(
            path, f"is longer than {_MAX_SOCKET_PATH_BYTES} bytes; choose a shorter path"
        )
    _remove_leftover(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(_SOCKET_MODE)  # nobody can connect before listen()
        listening.listen()
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise _socket_refusal(path, f"cannot be made: {reason}") from error
    return listening


def remove_socket(path: Path) -> None:
    """Remove the file of a closed socket, unless another service listens on it now."""
    if not _answers(path):
        with suppress(OSError):
            path.unlink()


def url_of(listening: socket.socket, host: str) -> str:
    """Return the URL of a socket that a browser on this machine can open."""
    # 0.0.0.0 and :: mean all addresses.
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"http://{url_host(reachable)}:{listening.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def url_host(host: str) -> str:
    """Return a host as URLs write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _refusal(host: str, port: int, error: OSError) -> InvalidArgument:
    if error.errno == errno.EADDRINUSE:
        return InvalidArgument(
            f"port {port} of {host} is in use; choose another, or 0 for a free one", field="port"
        )
    reason = (error.strerror or str(error)).lower()
    return InvalidArgument(f"cannot listen on port {port} of {host}: {reason}", field="host")


def _socket_refusal(path: Path, reason: str) -> InvalidArgument:
    return InvalidArgument(f"the socket {path} {reason}", field="unix_socket")


def _remove_leftover(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _socket_refusal(path, f"cannot be made: {reason}") from error
    if not is_socket:
        raise _socket_refusal(path, "exists and is not a socket; choose another path")
    if _answers(path):
        raise _socket_refusal(path, "is in use; choose another path")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Whether a process listens on a socket's file, or may do so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # another user's, or of another kind
            return True
    return True
