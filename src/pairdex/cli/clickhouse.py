"""`pairdex clickhouse`: collections in ClickHouse, embedded or on servers."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pairdex.cli.model_option import model_place
from pairdex.cli.output import (
    JsonOption,
    duration,
    print_json,
    printable,
    progress_bars,
    size,
)
from pairdex.cli.search import as_lists, print_neighbours
from pairdex.clickhouse.connection import DEFAULT_USER, Place
from pairdex.clickhouse.index import DEFAULT_INDEX, IndexSpec, build_indexes
from pairdex.clickhouse.load import load_collection
from pairdex.clickhouse.report import DEFAULT_QUERIES, compare
from pairdex.clickhouse.schema import DEFAULT_DTYPE, DEFAULT_TABLE, Dtype
from pairdex.clickhouse.search import Found, search_table, search_vectors
from pairdex.clickhouse.udf import DEFAULT_POOL, write_functions
from pairdex.collection import Collection
from pairdex.encoders.model import BUILT_IN
from pairdex.errors import InvalidArgument, MissingFile
from pairdex.files import json_values
from pairdex.files.query_files import read_queries
from pairdex.files.result_files import check_suffix, write_results
from pairdex.search import DEFAULT_K, Query
from pairdex.store.store import Kind

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
    index: Annotated[
        str | None,
        typer.Option(help=f"Then index both kinds of vectors, as {DEFAULT_INDEX}."),
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
    spec = None if index is None else IndexSpec.parse(index)
    place = _place(collection, path, url, user, password, password_file, ca_cert, not no_verify)
    with progress_bars() as progress:
        report = load_collection(
            collection,
            place,
            table=table,
            dtype=dtype,
            columns=_names(columns),
            cluster=cluster,
            progress=progress,
        )
        indexes = (
            []
            if spec is None
            else build_indexes(
                collection, place, spec, table=table, cluster=cluster, progress=progress
            )
        )
    if as_json:
        facts = {"rows_per_second": report.rows_per_second}
        print_json(asdict(report) | facts | {"indexes": [asdict(built) for built in indexes]})
        return
    sys.stdout.write(
        f"{report.rows:,} rows in {table}: {report.inserted:,} inserted, {report.deleted:,} deleted "
        f"in {duration(report.seconds)} ({report.rows_per_second:,.0f} rows/s)\n"
    )
    for built in indexes:
        sys.stdout.write(f"{built.name}: {size(built.bytes)} in {duration(built.seconds)}\n")


@app.command()
def search(
    collection: CollectionArgument,
    text: Annotated[str | None, typer.Option(help="Search for a text.")] = None,
    image: Annotated[Path | None, typer.Option(help="Search for a picture.")] = None,
    like: Annotated[int | None, typer.Option(help="Search for rows like this id.")] = None,
    vectors: Annotated[
        str | None, typer.Option(help="Search for each vector of a file, as `pairdex search`.")
    ] = None,
    on: Annotated[Kind, typer.Option(help="Which vectors to search.")] = "image",
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = DEFAULT_K,
    where: Annotated[
        str | None, typer.Option(help="Only rows that satisfy this condition of ClickHouse.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with all rows.")] = False,
    model: Annotated[
        str | None, typer.Option(help="The collection's model, where it does not say or has moved.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the results of --vectors to FILE.h5 or FILE.parquet.")
    ] = None,
    path: PathOption = None,
    url: UrlOption = None,
    table: TableOption = DEFAULT_TABLE,
    user: UserOption = DEFAULT_USER,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    ca_cert: CaCertOption = None,
    no_verify: NoVerifyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search a loaded table for the rows nearest to a text, a picture, a row or many vectors."""
    place = _place(collection, path, url, user, password, password_file, ca_cert, not no_verify)
    opened = Collection.open(collection, model=None if model is None else model_place(model))
    asked = {"table": table, "on": on, "k": k, "where": where, "exact": exact}
    started = time.perf_counter()
    if vectors is None:
        query = Query(text=text, image=image, like=like)
        found = search_table(opened, place, query, **asked)  # type: ignore[arg-type]
        _print_hits(found, time.perf_counter() - started, as_json)
        return
    if any(value is not None for value in (text, image, like)):
        raise InvalidArgument("search takes either --vectors or one of --text, --image, --like")
    if out is not None:
        check_suffix(out)
    ids, distances = search_vectors(opened, place, read_queries(vectors), **asked)  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    if out is not None:
        write_results(out, ids, distances, attributes={"algo": "ClickHouse", "querytime": seconds})
    facts = {"queries": len(ids), "k": k, "seconds": seconds}
    if as_json:
        results = {"out": str(out)} if out is not None else as_lists(ids, distances)
        print_json({**results, **facts})
    elif out is not None:
        sys.stdout.write(f"{len(ids):,} queries in {duration(seconds)}, written to {out}\n")
    else:
        print_neighbours(ids, distances, digits=4)


@app.command()
def report(
    collection: CollectionArgument,
    queries: Annotated[
        str | None, typer.Option(help="File of query vectors; else texts of the collection.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many to draw of those.")] = DEFAULT_QUERIES,
    on: Annotated[Kind, typer.Option(help="Which vectors to search.")] = "image",
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = DEFAULT_K,
    path: PathOption = None,
    url: UrlOption = None,
    table: TableOption = DEFAULT_TABLE,
    user: UserOption = DEFAULT_USER,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    ca_cert: CaCertOption = None,
    no_verify: NoVerifyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare ClickHouse by brute force, by its index, and pairdex on the same queries."""
    place = _place(collection, path, url, user, password, password_file, ca_cert, not no_verify)
    asked = n if queries is None else read_queries(queries)
    with progress_bars() as progress:
        found = compare(
            Collection.open(collection),
            place,
            table=table,
            on=on,
            k=k,
            queries=asked,
            progress=progress,
        )
    if as_json:
        print_json(asdict(found))
        return
    shown = Table("", f"recall@{k}", "p50", "p95", "bytes", box=None, pad_edge=False)
    for run in found.runs:
        times = (duration(run.p50_seconds, digits=1), duration(run.p95_seconds, digits=1))
        shown.add_row(run.name, f"{run.recall:.3f}", *times, size(run.bytes))
    Console(highlight=False, markup=False, emoji=False).print(shown)
    sys.stdout.write(
        f"{found.queries:,} queries of {found.rows:,} rows, one at a time; the plan:\n"
    )
    for line in found.plan:
        sys.stdout.write(f"  {printable(line)}\n")


@app.command()
def udf(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the functions.")],
    model: Annotated[
        str, typer.Option(help="The model that made the vectors: `demo` or a model folder.")
    ] = BUILT_IN,
    pictures: Annotated[
        Path | None, typer.Option(help="encode_image takes pictures of this folder only.")
    ] = None,
    pool: Annotated[int, typer.Option(help="Processes of a function.")] = DEFAULT_POOL,
    as_json: JsonOption = False,
) -> None:
    """Write the functions encode_text and encode_image for ClickHouse's own queries."""
    report = write_functions(folder, model=model, pictures=pictures, pool=pool)
    if as_json:
        print_json(asdict(report))
        return
    sys.stdout.write(
        f"{' and '.join(report.functions)} of {report.model} ({report.dim} dimensions) in {folder}: "
        f"{', '.join(report.files)}\n"
    )


def _print_hits(found: Found, seconds: float, as_json: bool) -> None:
    if as_json:
        facts = {"exact": not found.by_index, "index": found.by_index, "seconds": seconds}
        print_json({"hits": json_values.rows(found.table), **facts})
        return
    shown = Table("id", "similarity", "caption", box=None, header_style="bold", pad_edge=False)
    shown.add_column("url", overflow="fold")
    for hit in found.table.to_pylist():
        texts = (printable(hit["caption"]), printable(hit["url"]))
        shown.add_row(str(hit["id"]), f"{hit['similarity']:.3f}", *texts)
    Console(highlight=False, markup=False, emoji=False).print(shown)
    how = "by the index" if found.by_index else "of all rows"
    sys.stdout.write(f"{len(found.table):,} rows in {duration(seconds)}, {how}\n")


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
        beside = collection.absolute()
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
