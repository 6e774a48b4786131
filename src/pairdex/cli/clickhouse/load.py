"""`pairdex clickhouse load`: collection → table."""

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
from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, progress_bars
from pairdex.clickhouse.index import DEFAULT_INDEX, IndexReport, IndexSpec
from pairdex.clickhouse.load import LoadReport
from pairdex.clickhouse.load_and_index import load_and_index
from pairdex.clickhouse.schema import DEFAULT_DTYPE, DEFAULT_TABLE, Dtype
from pairdex.wording import counted, duration, size

EXAMPLES = (
    "pairdex clickhouse load my-collection",
    f"pairdex clickhouse load my-collection --index {DEFAULT_INDEX}",
    "pairdex clickhouse load my-collection --url http://localhost:8123/default",
)
PANELS = {"Table": "dtype columns index cluster", **PANEL, "Output": "as_json"}

DtypeOption = Annotated[Dtype, typer.Option(help="How to store vectors.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Additional metadata columns, such as width,height, or all (default: the tutorial's "
        "columns only).",
    ),
]
IndexOption = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help=f"Then build a vector index, such as {DEFAULT_INDEX} (default: none). The fields are "
        "method, distance, quantization, neighbors per node, candidates when building.",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Make a table on every server of this cluster, and a Distributed table over them.",
    ),
]


def command(
    collection: CollectionArgument,
    path: PathOption = None,
    url: UrlOption = None,
    table: TableOption = DEFAULT_TABLE,
    dtype: DtypeOption = DEFAULT_DTYPE,
    columns: ColumnsOption = None,
    index: IndexOption = None,
    cluster: ClusterOption = None,
    user: UserOption = DEFAULT_USER,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    ca_cert: CaCertOption = None,
    no_verify: NoVerifyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Load a collection into a ClickHouse table.

    The table is the one of ClickHouse's LAION tutorial. Run the same command again to resume, to add new
    rows, and to delete rows that were removed from the collection. Needs the extra: pip install
    'pairdex[clickhouse]'.
    """
    spec = None if index is None else IndexSpec.parse(index)
    place = place_of(collection, path, url, user, password, password_file, ca_cert, no_verify)
    with progress_bars() as progress:
        report, indexes = load_and_index(
            collection,
            place,
            spec,
            table=table,
            dtype=dtype,
            columns=tuple(name.strip() for name in columns.split(",")) if columns else (),
            cluster=cluster,
            progress=progress,
        )
    if as_json:
        facts = {"rows_per_second": report.rows_per_second}
        print_json(asdict(report) | facts | {"indexes": [asdict(built) for built in indexes]})
    else:
        _print_report(report, indexes)


def _print_report(report: LoadReport, indexes: list[IndexReport]) -> None:
    sys.stdout.write(
        f"{counted(report.rows, 'row')} in {report.table}: {report.inserted:,} inserted, "
        f"{report.deleted:,} deleted in {duration(report.seconds)} "
        f"({report.rows_per_second:,.0f} rows/s)\n"
    )
    for built in indexes:
        sys.stdout.write(f"{built.name}: {size(built.bytes)} in {duration(built.seconds)}\n")
