"""The options and arguments that several commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from pairdex.errors import InvalidArgument
from pairdex.store.fields import VectorField

__all__ = [
    "ClusterOption",
    "CollectionArgument",
    "JsonOption",
    "KOption",
    "ModelOption",
    "NewArgument",
    "NoCodesOption",
    "OnOption",
    "PartsOption",
    "QueriesArgument",
    "SpaceOption",
    "VectorsOption",
    "WorkersOption",
    "read_numbers",
    "read_parts",
    "read_size",
]


def read_parts(text: str) -> frozenset[int]:
    """Read part numbers and ranges such as 0-9,12.

    Raises
    ------
    typer.BadParameter
        The text is not a list of numbers and ascending ranges.
    """
    from pairdex.parts.layout import parse_numbers  # noqa: PLC0415 - help does not need it

    try:
        return parse_numbers(text)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error


def read_size(text: str) -> int:
    """Read a size as people write it and return its bytes.

    Raises
    ------
    typer.BadParameter
        The text is not a size.

    Examples
    --------
    >>> read_size("1.5GB")
    1500000000
    """
    from pairdex.work.sizes import parse_size  # noqa: PLC0415 - as above

    try:
        return parse_size(text)
    except InvalidArgument:
        raise typer.BadParameter(
            f"{text!r} is not a size, expected a value like 500MB or 4GB"
        ) from None


def read_numbers(text: str) -> list[float]:
    """Read numbers with commas between them.

    Raises
    ------
    typer.BadParameter
        Something between the commas is not a number.

    Examples
    --------
    >>> read_numbers("0.8,0.9")
    [0.8, 0.9]
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers like 0.8,0.9") from None


def _check_space(on: str) -> str:
    """Refuse as wrong usage what is neither a kind of vectors nor the name of a projection."""
    if on in get_args(VectorField):
        return on
    from pairdex.derived.projections.files import check_name  # noqa: PLC0415 - rarely needed

    try:
        check_name(on)
    except InvalidArgument as error:
        raise typer.BadParameter(
            f"{on!r} is neither image nor text nor a projection (pca32, pca96, pcaN, hamming)"
        ) from error
    return on


_FILE_NAME = "Formats: .npy, .npz, .h5, .fvecs. Write FILE:NAME to pick an array."

CollectionArgument = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="Folder of the collection.")
]
NewArgument = Annotated[Path, typer.Argument(metavar="NEW", help="Folder of the new collection.")]
QueriesArgument = Annotated[
    str, typer.Argument(metavar="QUERIES", help=f"File of query vectors. {_FILE_NAME}")
]
VectorsOption = Annotated[
    str | None, typer.Option(metavar="FILE", help=f"Search for each vector in FILE. {_FILE_NAME}")
]
OnOption = Annotated[VectorField, typer.Option(help="Which vectors to use.")]
SpaceOption = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="SPACE",
        callback=_check_space,
        help="Where to search: image, text, or a projection such as pca96 or hamming.",
    ),
]
KOption = Annotated[int, typer.Option("-k", metavar="N", help="Number of rows to find.")]
PartsOption = Annotated[
    frozenset[int] | None,
    typer.Option(
        metavar="RANGE",
        parser=read_parts,
        help="Use only these parts, such as 1-11 or 0-9,12 (default: all).",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Name or folder of the model that made the vectors (default: the recorded one).",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Work on the nodes of this Ray cluster: host:port, or auto."
    ),
]
WorkersOption = Annotated[
    int, typer.Option(metavar="N", help="Number of processes; each writes one part at a time.")
]
NoCodesOption = Annotated[
    bool, typer.Option("--no-codes", help="Read all vectors; do not use or write codes.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
