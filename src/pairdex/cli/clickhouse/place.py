"""The options of `pairdex clickhouse` that say where the database is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairdex.clickhouse.connection import DEFAULT_USER, Place, read_password

__all__ = [
    "DEFAULT_USER",
    "PANEL",
    "CaCertOption",
    "NoVerifyOption",
    "PasswordFileOption",
    "PasswordOption",
    "PathOption",
    "TableOption",
    "UrlOption",
    "UserOption",
    "place_of",
]

PANEL = {"Database": "path url table user password password_file ca_cert no_verify"}

PathOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of an embedded database (default: COLLECTION.clickhouse, unless --url is "
        "given).",
    ),
]
UrlOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Server, such as http://host:8123/database. Repeat it for a table sharded over "
        "several servers.",
    ),
]
TableOption = Annotated[str, typer.Option(metavar="NAME", help="Name of the table.")]
UserOption = Annotated[str, typer.Option(metavar="NAME", help="User of the servers.")]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        envvar="CLICKHOUSE_PASSWORD",
        show_envvar=True,
        help="Password of the user. Other users of this machine can see it in the process list: "
        "better use --password-file or the variable.",
    ),
]
PasswordFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File whose first line is the password.")
]
CaCertOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="PEM file of the authority that signed the servers' certificates."
    ),
]
NoVerifyOption = Annotated[
    bool, typer.Option("--no-verify", help="Accept any certificate from the servers.")
]


def place_of(
    collection: Path,
    path: Path | None,
    urls: list[str] | None,
    user: str,
    password: str | None,
    password_file: Path | None,
    ca_cert: Path | None,
    no_verify: bool,
) -> Place:
    """Return the database of the options: by default an embedded one beside the collection."""
    if not urls:
        beside = collection.absolute()
        return Place(path=path or beside.with_name(f"{beside.name}.clickhouse"))
    if password_file is not None:
        password = read_password(password_file)
    return Place(path, tuple(urls), user, password or "", ca_cert, not no_verify)
