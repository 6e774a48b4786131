"""Who may ask: the token, and the names that a service answers to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pairdex.errors import InvalidArgument, MissingFile
from pairdex.service.limits import MAX_TOKEN_BYTES

__all__ = ["check_hosts", "check_token", "read_token"]

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")


def check_token(token: str | None) -> None:
    """Raise if a token is given and empty.

    Raises
    ------
    InvalidArgument
        It is empty, as from a variable that is not set.
    """
    if token is not None and not token.strip():
        raise InvalidArgument("the token is empty; give one, or omit it", field="token")


def check_hosts(hosts: Sequence[str] | None) -> None:
    """Raise if a host name is not one.

    Raises
    ------
    InvalidArgument
        A name has a scheme, a port, a path or a pattern.
    """
    for host in hosts or ():
        if not _HOST.fullmatch(host.lower()):
            raise InvalidArgument(
                f"the host name {host!r:.80} is invalid; expected one like gallery.example, without "
                "https:// and without a port",
                field="hosts",
            )


def read_token(path: Path) -> str:
    """Return the token in a file: its only line, without spaces around it.

    Raises
    ------
    MissingFile
        The file does not exist.
    InvalidArgument
        The file is empty, too large, not text, or has several lines.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TOKEN_BYTES + 1)
    except FileNotFoundError as error:
        raise MissingFile(f"the token file {path} does not exist") from error
    token = content.decode("utf-8", "replace").strip()
    if not token:
        raise _refusal(path, "is empty; write the token into it")
    if len(content) > MAX_TOKEN_BYTES:
        raise _refusal(path, f"is larger than {MAX_TOKEN_BYTES:,} bytes, which no token is")
    if not token.isprintable() or "\N{REPLACEMENT CHARACTER}" in token:
        raise _refusal(path, "is not one line of text")
    return token


def _refusal(path: Path, reason: str) -> InvalidArgument:
    return InvalidArgument(f"the token file {path} {reason}", field="token_file")
