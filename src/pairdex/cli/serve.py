"""`pairdex serve`: the REST interface and the page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pairdex.cli.model_option import model_place
from pairdex.cli.output import progress_bars
from pairdex.collection import Collection
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT


def command(
    collections: Annotated[
        list[Path], typer.Argument(help="Folders of collections; the first is the default.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    token: Annotated[
        str | None, typer.Option(help="Ask every request for this bearer token.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The collections' model, where they do not say or it has moved."),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(help="An origin whose pages may read answers, as https://gallery.example."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second that one address may make.")
    ] = None,
    proxy_hosts: Annotated[
        list[str] | None,
        typer.Option(help="A host that pictures may be fetched from, or *.host for all below it."),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Log every request, in this form; else only errors."),
    ] = None,
) -> None:
    """Serve collections: a page for people, REST for programs. Ctrl-C ends it."""
    # No other command waits for these.
    from pairdex.service.logs import log_to  # noqa: PLC0415
    from pairdex.service.policy import Policy  # noqa: PLC0415
    from pairdex.service.server import serve  # noqa: PLC0415

    policy = Policy(cors=tuple(cors or ()), rate=rate, proxy_hosts=tuple(proxy_hosts or ()))
    log_to(log_format)
    opened = [
        Collection.open(path, model=None if model is None else model_place(model))
        for path in collections
    ]
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


def _announce(url: str) -> None:
    sys.stderr.write(f"serving {url} (Ctrl-C ends it)\n")
