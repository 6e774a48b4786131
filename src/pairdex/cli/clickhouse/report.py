"""`pairdex clickhouse report`: ClickHouse and pairdex on the same queries."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from pairdex.cli.clickhouse.place import (
    DEFAULT_USER,
    PANEL,
    CaCertOption,
    NoVerifyOption,
    PasswordFileOption,
    PasswordOption,
    PathOption,
    TableOption,
    UrlOption,
    UserOption,
    place_of,
)
from pairdex.cli.options import CollectionArgument, JsonOption, KOption, OnOption
from pairdex.cli.output import print_json, print_table, printable, progress_bars
from pairdex.clickhouse.report import DEFAULT_QUERIES, Report, compare
from pairdex.clickhouse.schema import DEFAULT_TABLE
from pairdex.collection import Collection
from pairdex.files.query_files import read_queries
from pairdex.search import DEFAULT_K
from pairdex.wording import counted, duration, size

EXAMPLES = ("pairdex clickhouse report my-collection -n 200 -k 100",)
PANELS = {"Queries": "queries n on k", **PANEL, "Output": "as_json"}

QueriesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="File of query vectors (default: text vectors of the collection). Formats: .npy, "
        ".npz, .h5, .fvecs. Write FILE:NAME to pick an array.",
    ),
]
CountOption = Annotated[
    int, typer.Option("-n", metavar="N", help="Number of queries to draw without --queries.")
]


def command(
    collection: CollectionArgument,
    queries: QueriesOption = None,
    n: CountOption = DEFAULT_QUERIES,
    on: OnOption = "image",
    k: KOption = DEFAULT_K,
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
    """Compare ClickHouse's recall and speed with pairdex's.

    Three searches answer the same queries: ClickHouse by brute force, ClickHouse by its index, and
    pairdex.
    """
    place = place_of(collection, path, url, user, password, password_file, ca_cert, no_verify)
    with progress_bars() as progress:
        found = compare(
            Collection.open(collection),
            place,
            table=table,
            on=on,
            k=k,
            queries=n if queries is None else read_queries(queries),
            progress=progress,
        )
    if as_json:
        print_json(asdict(found))
    else:
        _print_comparison(found, k)


def _print_comparison(found: Report, k: int) -> None:
    recall = f"recall@{k}"
    print_table(
        ["", recall, "p50", "p95", "size"],
        [
            [
                run.name,
                f"{run.recall:.3f}",
                duration(run.p50_seconds),
                duration(run.p95_seconds),
                size(run.bytes),
            ]
            for run in found.runs
        ],
        right={recall, "p50", "p95", "size"},
    )
    sys.stdout.write(
        f"\n{counted(found.queries, 'query')} over {counted(found.rows, 'row')}, one at a time. ClickHouse's plan:\n"
    )
    for line in found.plan:
        sys.stdout.write(f"  {printable(line)}\n")
