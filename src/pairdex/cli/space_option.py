"""The option `--on` of commands that search: the vectors themselves, or a projection of them."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from pairdex.derived.projections.files import check_name
from pairdex.errors import InvalidArgument
from pairdex.store.store import Kind

__all__ = ["SpaceOption"]


def _check(on: str) -> str:
    """Refuse as wrong usage what is neither vectors nor the name of a projection."""
    if on not in get_args(Kind):
        try:
            check_name(on)
        except InvalidArgument as error:
            raise typer.BadParameter(
                f"{on!r} is neither image nor text nor a projection (pca32, pca96, pcaN, hamming)"
            ) from error
    return on


SpaceOption = Annotated[
    str,
    typer.Option(
        "--on",
        callback=_check,
        help="What to search: image, text, or a projection: pca96, hamming.",
    ),
]
