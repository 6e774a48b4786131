"""Connect to ClickHouse: an embedded database in a folder, or servers over HTTP.

The embedded engine is chdb. It locks its folder, and a process can open only one folder. It must be
opened on the main thread. A process that has used it must not fork.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pairdex.errors import EngineFailed, InvalidArgument, MissingExtra, MissingFile, WriteFailed
from pairdex.files import atomic, lock

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["DEFAULT_USER", "OLDEST", "Place", "connected", "explained", "read_password"]

DEFAULT_USER = "default"
OLDEST = "25.8"
"""The first release whose `vector_similarity` is not experimental."""

_CONNECT_TIMEOUT_SECONDS = 10
_ANSWER_TIMEOUT_SECONDS = 3600  # long enough for a brute-force search of billions of rows
_EMBEDDED_FOLDERS = {"metadata", "tmp"}  # the first when there are tables
_EMBEDDED_FILES = {"status", "uuid"}  # all else in it are folders

# Error codes of ClickHouse, from src/Common/ErrorCodes.cpp.
_FULL = {75, 243}  # CANNOT_WRITE_TO_FILE_DESCRIPTOR, NOT_ENOUGH_SPACE
_REFUSED = {192, 193, 194, 516}  # unknown user, wrong password, password needed, both
_TOO_OLD = {
    50: "type",
    80: "index",
    344: "index",
}  # UNKNOWN_TYPE, INCORRECT_QUERY, SUPPORT_IS_DISABLED
_NO_PERMISSION = 497
_NO_MEMORY = 241


@dataclass(frozen=True)
class Place:
    """Where ClickHouse is: the folder `path` of an embedded database, or servers at `urls`.

    Several urls are shards: each holds its share of the rows, and a search queries them all.
    `ca_cert` is a CA file for certificates that the system does not trust. `verify` False accepts
    any certificate.
    """

    path: Path | None = None
    urls: tuple[str, ...] = ()
    user: str = DEFAULT_USER
    password: str = field(default="", repr=False)
    ca_cert: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.urls):
            raise InvalidArgument(
                "ClickHouse is either a folder or a server: give one of --path and --url",
                field="path",
            )

    def name_of(self, shard: int) -> str:
        """Return the folder, or the address of a shard."""
        return str(self.path) if self.path is not None else self.urls[shard]


def read_password(path: Path) -> str:
    """Return the first line of a file.

    Raises
    ------
    MissingFile, InvalidArgument
        The file does not exist, or its first line is not a text.
    """
    try:
        return path.read_text().splitlines()[0]
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist; expected a file with a password") from error
    except (IndexError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path} has no password in its first line") from error


@contextmanager
def connected(place: Place, *, create: bool = False) -> Iterator[list[Client]]:
    """Yield a client for the embedded database, or one for each server; close them at the end.

    Parameters
    ----------
    create
        Create the embedded database if it does not exist.

    Raises
    ------
    EngineFailed
        The server is down or refuses the user, or another process uses the folder.
    MissingExtra
        The extra `clickhouse` is not installed.
    InvalidArgument, MissingFile
        A URL is invalid; the folder is missing or is not a database.
    """
    with ExitStack() as stack:
        clients: list[Client] = []
        openers = [partial(_embedded, place.path, create=create)] if place.path is not None else []
        openers += [partial(_server, place, url) for url in place.urls]
        for opener in openers:
            clients.append(opener())
            stack.callback(clients[-1].close)
        yield clients


@contextmanager
def explained(where: object, *, user: str = DEFAULT_USER) -> Iterator[None]:
    """Convert driver errors raised inside the block into a one-line error with advice.

    Raises
    ------
    EngineFailed, WriteFailed
        The server is down, refuses the query, is too old, or is out of memory or disk space.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415 - an extra

    try:
        yield
    except ClickHouseError as error:
        raise _translated(error, where, user) from error


def _embedded(path: Path, *, create: bool) -> Client:
    driver = _driver(embedded=True)
    if path.exists() and not _is_embedded(path):
        raise InvalidArgument(
            f"{path} is not a ClickHouse database and not empty; name another folder", field="path"
        )
    if create:
        atomic.make_folder(path)
    elif not path.exists():
        raise MissingFile(
            f"the database {path} does not exist; create it with pairdex clickhouse load"
        )
    _check_unused(path)
    with explained(path):
        client: Client = driver.get_client(interface="chdb", path=str(path.resolve()))
    return client


def _check_unused(path: Path) -> None:
    """Raise our own error if the folder is in use: the engine only prints a message."""
    try:
        with (path / "status").open("rb") as file:
            lock.acquire(file.fileno(), path)
    except FileNotFoundError:
        return
    except BlockingIOError as error:
        raise EngineFailed(
            f"{path} is in use by another process: an embedded database has one user at a time"
        ) from error


def _is_embedded(path: Path) -> bool:
    if not path.is_dir():
        return False
    entries = list(path.iterdir())
    return not entries or (
        any(entry.name in _EMBEDDED_FOLDERS for entry in entries)
        and all(entry.is_dir() or entry.name in _EMBEDDED_FILES for entry in entries)
    )


def _server(place: Place, url: str) -> Client:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
        raise InvalidArgument(
            f"{url} is not the address of a ClickHouse server; expected one like http://localhost:8123",
            field="url",
        )
    if parts.username or parts.password:
        raise InvalidArgument(
            f"the address of {parts.hostname} holds a user or password; give them by --user and "
            "--password-file",
            field="url",
        )
    secure = parts.scheme == "https"
    driver = _driver()
    if not place.verify:
        import urllib3  # noqa: PLC0415 - comes with the driver

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    with explained(url, user=place.user):
        client: Client = driver.get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=port or (8443 if secure else 8123),
            username=place.user,
            password=place.password,
            database=parts.path.strip("/") or "default",
            verify=place.verify,
            ca_cert=None if place.ca_cert is None else str(place.ca_cert),
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            send_receive_timeout=_ANSWER_TIMEOUT_SECONDS,
            query_retries=0,  # a retried insert would insert the rows twice
            autogenerate_session_id=False,  # a session refuses concurrent queries
            form_encode_query_params=True,  # a URL is too short for vectors and lists of ids
        )
        return client


def _driver(*, embedded: bool = False) -> Any:  # noqa: ANN401 - the module of an extra
    try:
        import clickhouse_connect  # noqa: PLC0415

        if embedded:
            import chdb  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra(
            "ClickHouse needs chdb and clickhouse-connect: pip install 'pairdex[clickhouse]'"
        ) from error
    # The driver logs what it also raises; without this, Python prints the log.
    logging.getLogger(clickhouse_connect.__name__).addHandler(logging.NullHandler())
    return clickhouse_connect


def _translated(error: Exception, where: object, user: str) -> EngineFailed | WriteFailed:
    code, reason = getattr(error, "code", None), _reason(error)
    if code in _FULL or "No space left" in reason:
        return WriteFailed(
            f"ClickHouse at {where} has no room: {reason}; free space and run the same command again"
        )
    if code in _REFUSED:
        said = f"refuses the user {user}: check --user and --password-file"
    elif code == _NO_PERMISSION:
        said = f"does not let {user} do that: {reason}"
    elif code in _TOO_OLD and re.search(r"vector_similarity|BFloat16", reason):
        said = f"is too old: {reason}; vector_similarity and BFloat16 need {OLDEST}"
    elif code == _NO_MEMORY:
        said = f"ran out of memory: {reason}"
    elif code is None:
        said = f"does not answer: {reason}; is it running?"
    else:
        said = f"failed: {reason}"
    return EngineFailed(f"ClickHouse at {where} {said}")


def _reason(error: Exception) -> str:
    """Return the error message as one line, without the engine's wrapping."""
    text = " ".join(str(error).split())
    text = re.sub(r"^.*?Code: \d+\. DB::[A-Za-z:]*Exception: ", "", text, count=1)
    text = re.sub(r"\(version [^)]*\)+", "", text)
    text = re.split(r"\. Stack trace|: While executing|: In scope | for url http", text)[0]
    return text.strip(" .:,")[:300]
