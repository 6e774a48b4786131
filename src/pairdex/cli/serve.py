"""`pairdex serve`: the REST API and the web page."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

import pairdex
from pairdex.cli.options import ModelOption
from pairdex.cli.output import progress_bars
from pairdex.cli.program import quieten_pictures
from pairdex.encoders.first_use import model_place, recorded_place
from pairdex.encoders.model import what_it_knows
from pairdex.errors import InvalidArgument, PairdexError
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT

EXAMPLES = (
    "pairdex serve my-collection",
    "pairdex serve photos laion --host 0.0.0.0 --token-file token.txt --rate 20",
    "pairdex serve photos --workers 4 --root-path /p --proxy-headers 127.0.0.1",
    "pairdex serve sharded --cluster 10.0.0.1:6379 --replicas 2",
)
TOKEN_VARIABLE = "PAIRDEX_TOKEN"  # noqa: S105 - its name
PANELS = {
    "Network": "host port unix_socket workers",
    "Cluster": "cluster replicas",
    "Access": "token token_file allow_host cors rate proxy_hosts",
    "Behind a reverse proxy": "root_path proxy_headers",
    "Models and logs": "model log_format",
}

CollectionsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="COLLECTION", help="Folders of collections; requests use the first by default."
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help=f"Address to listen on; 0.0.0.0 for all networks (default: {DEFAULT_HOST}).",
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        metavar="PORT", help=f"Port to listen on; 0 picks a free one (default: {DEFAULT_PORT})."
    ),
]
SocketOption = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Listen on this Unix socket instead of an address."),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        metavar="N", help="Number of processes that answer. Each loads the model; files are shared."
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Compare vectors on the nodes of this Ray cluster, each with shards of the collection: "
        "host:port, or auto.",
    ),
]
ReplicasOption = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Number of nodes that hold each shard; with 2 or more, the service answers when a node is lost.",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        help="Require this bearer token in every request. Other users of the machine can read the "
        f"command line, so prefer --token-file or the environment variable {TOKEN_VARIABLE}.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Read the bearer token from this file."),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        help="Answer only to this host name, and to those of this machine (repeatable; default: only "
        "to those of this machine, or to every name if others can connect).",
    ),
]
RootPathOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Path under which the proxy publishes the service, such as /pairdex. The proxy may cut "
        "it or pass it on.",
    ),
]
ProxyHeadersOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS",
        help="Take the client's address and the scheme from the X-Forwarded-… headers of this proxy: "
        "an address, a network, or unix for --unix-socket (repeatable; default: ignore them).",
    ),
]
CorsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN",
        help="Let pages of this origin read answers, such as https://gallery.example (repeatable).",
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="Allow each client address N requests per second (default: no limit)."
    ),
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        help="Fetch pictures from this host, or from all hosts below it with *.HOST (repeatable; "
        "default: fetch none).",
    ),
]
LogOption = Annotated[
    Literal["text", "json"] | None,
    typer.Option(help="Log every request in this format (default: log only errors)."),
]


def command(
    collections: CollectionsArgument,
    host: HostOption = None,
    port: PortOption = None,
    unix_socket: SocketOption = None,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
    replicas: ReplicasOption = 1,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    model: ModelOption = None,
    allow_host: AllowHostOption = None,
    cors: CorsOption = None,
    rate: RateOption = None,
    proxy_hosts: ProxyOption = None,
    root_path: RootPathOption = None,
    proxy_headers: ProxyHeadersOption = None,
    log_format: LogOption = None,
) -> None:
    """Serve collections as a web page and a REST API.

    The server is read-only and listens on this machine only, unless you set --host. Press Ctrl-C to
    stop it.
    """
    # Heavy, and not needed for help.
    from pairdex.service import Policy, ReverseProxy, serve  # noqa: PLC0415

    _check_combination(unix_socket, host, port, root_path)
    policy = Policy(cors=tuple(cors or ()), rate=rate, proxy_hosts=tuple(proxy_hosts or ()))
    proxy = ReverseProxy(root_path or "", tuple(proxy_headers or ()))
    with progress_bars() as progress:
        serve(
            _opened(collections, model),
            host=DEFAULT_HOST if host is None else host,
            port=DEFAULT_PORT if port is None else port,
            unix_socket=unix_socket,
            token=_token(token, token_file),
            hosts=_hosts(allow_host),
            policy=policy,
            proxy=proxy,
            workers=workers,
            cluster=cluster,
            replicas=replicas,
            configure=partial(_configure, log_format),
            ready=_announce,
            progress=progress,
        )


def _bring_model(collection: pairdex.Collection) -> None:
    """Fetch the recorded model of a collection, if it is a published one that is not here yet."""
    if collection.model is None:
        return
    try:
        model_place(recorded_place(collection.model))
    except PairdexError as error:
        sys.stderr.write(
            f"note: texts and pictures cannot be searched in {collection.name}: {error}\n"
        )


def _opened(paths: list[Path], model: str | None) -> list[pairdex.Collection]:
    """Open the collections with their models, and say what the demo model knows."""
    place = None if model is None else model_place(model)
    opened = [pairdex.open(path, model=place) for path in paths]
    if place is None:
        for collection in opened:
            _bring_model(collection)
    for knows in {what_it_knows(collection.model) for collection in opened} - {""}:
        sys.stderr.write(f"note: {knows}\n")
    return opened


def _configure(log_format: Literal["text", "json"] | None) -> None:
    """Set up a process that answers requests."""
    from pairdex.service.logs import log_to  # noqa: PLC0415

    quieten_pictures()
    log_to(log_format)


def _check_combination(
    unix_socket: Path | None,
    host: str | None,
    port: int | None,
    root_path: str | None,
) -> None:
    """Refuse options of which one would be ignored."""
    if unix_socket is not None and (host is not None or port is not None):
        other = "--host" if host is not None else "--port"
        raise InvalidArgument(f"--unix-socket and {other} exclude each other; give one of them")
    if root_path == "":
        raise InvalidArgument("--root-path is empty; give one like /pairdex, or omit it")


def _token(token: str | None, token_file: Path | None) -> str | None:
    """Return the token of an option, otherwise that of the environment."""
    from pairdex.service.access import read_token  # noqa: PLC0415

    if token is not None and token_file is not None:
        raise InvalidArgument("--token and --token-file exclude each other; give one of them")
    if token_file is not None:
        return read_token(token_file)
    if token is not None or TOKEN_VARIABLE not in os.environ:
        return token
    if not os.environ[TOKEN_VARIABLE].strip():  # to serve without a token would be a surprise
        raise InvalidArgument(f"{TOKEN_VARIABLE} is empty; set it to the token, or unset it")
    return os.environ[TOKEN_VARIABLE].strip()


def _hosts(allow_host: list[str] | None) -> list[str] | None:
    """Return the names to answer to; None for the default."""
    from pairdex.service.app import LOOPBACK_HOSTS  # noqa: PLC0415

    return [*allow_host, *LOOPBACK_HOSTS] if allow_host else None


def _announce(place: str) -> None:
    sys.stderr.write(f"serving {place} (Ctrl-C stops the server)\n")
