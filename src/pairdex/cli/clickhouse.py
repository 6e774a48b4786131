"""`pairdex clickhouse`: collections in ClickHouse, embedded or on servers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, progress_steps
from pairdex.clickhouse.connection import DEFAULT_USER, Place
from pairdex.clickhouse.load import load_collection
from pairdex.clickhouse.schema import DEFAULT_DTYPE, DEFAULT_TABLE, Dtype
from pairdex.errors import InvalidArgument, MissingFile

app = typer.Typer(no_args_is_help=True, help="Load, index and search collections in ClickHouse.")

CollectionArgument = Annotated[Path, typer.Argument(help="Folder of the collection.")]
PathOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of an embedded database; without it and --url, COLLECTION.clickhouse."
    ),
]
UrlOption = Annotated[
    list[str] | None,
    typer.Option(help="A server, as http://host:8123/database; several are shards."),
]
TableOption = Annotated[str, typer.Option(help="Name of the table.")]
UserOption = Annotated[str, typer.Option(help="User of the servers.")]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        envvar="CLICKHOUSE_PASSWORD",
        show_envvar=True,
        help="Its password; others can see it in the list of processes.",
    ),
]
PasswordFileOption = Annotated[
    Path | None, typer.Option(help="File whose first line is the password.")
]
CaCertOption = Annotated[
    Path | None,
    typer.Option(help="PEM file of the authority that signed the servers' certificates."),
]
NoVerifyOption = Annotated[
    bool, typer.Option("--no-verify", help="Trust any certificate of the servers.")
]


@app.command()
def load(
    collection: CollectionArgument,
    path: PathOption = None,
    url: UrlOption = None,
    table: TableOption = DEFAULT_TABLE,
    dtype: Annotated[Dtype, typer.Option(help="What vectors are stored as.")] = DEFAULT_DTYPE,
    columns: Annotated[
        str | None,
        typer.Option(help="Further metadata columns: width,height, or `all`."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="A cluster of the server: tables on all of it, and a Distributed one."),
    ] = None,
    user: UserOption = DEFAULT_USER,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    ca_cert: CaCertOption = None,
    no_verify: NoVerifyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Load a collection into the table of ClickHouse's LAION tutorial.

    The same command goes on with a load that was killed, adds rows that are new, and deletes rows
    that were removed from the collection.
    """
    place = _place(collection, path, url, user, password, password_file, ca_cert, not no_verify)
    with progress_steps() as progress:
        report = load_collection(
            collection,
            place,
            table=table,
            dtype=dtype,
            columns=_names(columns),
            cluster=cluster,
            progress=lambda done, total: progress("loading", done, total),
        )
    if as_json:
        print_json(asdict(report) | {"rows_per_second": report.rows_per_second})
        return
    sys.stdout.write(
        f"{report.rows:,} rows in {table}: {report.inserted:,} inserted, {report.deleted:,} deleted "
        f"in {duration(report.seconds)} ({report.rows_per_second:,.0f} rows/s)\n"
    )


def _place(
    collection: Path,
    path: Path | None,
    urls: list[str] | None,
    user: str,
    password: str | None,
    password_file: Path | None,
    ca_cert: Path | None,
    verify: bool,
) -> Place:
    if not urls:
        beside = collection.resolve()
        return Place(path=path or beside.with_name(f"{beside.name}.clickhouse"))
    if password_file is not None:
        password = _read_password(password_file)
    return Place(path, tuple(urls), user, password or "", ca_cert, verify)


def _read_password(path: Path) -> str:
    try:
        return path.read_text().splitlines()[0]
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist; expected a file with a password") from error
    except (IndexError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path} has no password in its first line") from error


def _names(columns: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in columns.split(",")) if columns else ()
