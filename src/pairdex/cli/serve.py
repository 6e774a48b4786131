"""`pairdex serve`: the REST API and the web page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

import pairdex
from pairdex.cli.options import ModelOption
from pairdex.cli.output import progress_bars
from pairdex.encoders.first_use import model_place, recorded_place
from pairdex.encoders.model import what_it_knows
from pairdex.errors import PairdexError
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT

EXAMPLES = (
    "pairdex serve my-collection",
    "pairdex serve photos laion --host 0.0.0.0 --token SECRET --rate 20",
)
PANELS = {
    "Network": "host port",
    "Access": "token cors rate proxy_hosts",
    "Models and logs": "model log_format",
}

CollectionsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="COLLECTION", help="Folders of collections; requests use the first by default."
    ),
]
HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all networks.")
]
PortOption = Annotated[
    int, typer.Option(metavar="PORT", help="Port to listen on; 0 picks a free one.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(metavar="TOKEN", help="Require this bearer token in every request."),
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
    host: HostOption = DEFAULT_HOST,
    port: PortOption = DEFAULT_PORT,
    token: TokenOption = None,
    model: ModelOption = None,
    cors: CorsOption = None,
    rate: RateOption = None,
    proxy_hosts: ProxyOption = None,
    log_format: LogOption = None,
) -> None:
    """Serve collections as a web page and a REST API.

    The server is read-only and listens on this machine only, unless you set --host. Press Ctrl-C to
    stop it.
    """
    # Heavy, and not needed for help.
    from pairdex.service.logs import log_to  # noqa: PLC0415
    from pairdex.service.policy import Policy  # noqa: PLC0415
    from pairdex.service.server import serve  # noqa: PLC0415

    policy = Policy(cors=tuple(cors or ()), rate=rate, proxy_hosts=tuple(proxy_hosts or ()))
    log_to(log_format)
    place = None if model is None else model_place(model)
    opened = [pairdex.open(path, model=place) for path in collections]
    if place is None:
        for collection in opened:
            _bring_model(collection)
    for knows in {what_it_knows(collection.model) for collection in opened} - {""}:
        sys.stderr.write(f"note: {knows}\n")
    with progress_bars() as progress:
        serve(
            opened,
            host=host,
            port=port,
            token=token,
            policy=policy,
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


def _announce(url: str) -> None:
    sys.stderr.write(f"serving {url} (Ctrl-C stops the server)\n")
