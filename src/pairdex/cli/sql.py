"""`pairdex sql`: one SELECT over a collection's metadata, with search in it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import typer

from pairdex.cli.options import CollectionArgument, JsonOption, ModelOption, NoCodesOption
from pairdex.cli.output import print_json, print_table, progress_bars
from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.files import json_values
from pairdex.metadata_sql.output import FileFormat, format_of
from pairdex.metadata_sql.results import select_rows, write_selected
from pairdex.metadata_sql.session import DEFAULT_MEMORY
from pairdex.wording import counted, duration

EXAMPLES = (
    'pairdex sql pets "SELECT nsfw, count(*) FROM pairs GROUP BY nsfw"',
    "pairdex sql pets \"SELECT * FROM nearest('a black cat', 100)\" --out cats.csv",
)
_SHOWN_ROWS = 100

Form = Literal["table", "csv", "json", "parquet"]
StatementArgument = Annotated[
    str, typer.Argument(metavar="SELECT", help="One SELECT statement over the table pairs.")
]
FormatOption = Annotated[
    Form | None,
    typer.Option("--format", help="Output format (default: the suffix of --out, else table)."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the rows to FILE (.csv, .json or .parquet)."),
]
MemoryOption = Annotated[
    str, typer.Option(metavar="SIZE", help="Memory limit of the statement, such as 500MB or 4GB.")
]


def command(
    collection: CollectionArgument,
    statement: StatementArgument,
    form: FormatOption = None,
    out: OutOption = None,
    memory: MemoryOption = DEFAULT_MEMORY,
    model: ModelOption = None,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Query the metadata of a collection with SQL.

    The table is called pairs. nearest('a red car', 100) is a table of the rows nearest to a text;
    distance(id, 'a red car') is the distance of a row. Statements cannot write or read files.
    """
    kind = _file_format(form, out)
    opened = Collection.open(collection, model=model, use_codes=not no_codes)
    started = time.perf_counter()
    if kind is not None and (out is not None or not as_json):
        target = sys.stdout.buffer if out is None else out
        with progress_bars() as progress:
            count = write_selected(
                opened, statement, target, kind, memory=memory, progress=progress
            )
        if out is not None:
            _print_written(count, time.perf_counter() - started, out, as_json)
        return
    limit = None if as_json else _SHOWN_ROWS + 1
    with progress_bars() as progress:
        table = select_rows(opened, statement, limit=limit, memory=memory, progress=progress)
    if as_json:
        _print_json(table, time.perf_counter() - started)
    else:
        _print_rows(table, time.perf_counter() - started)


def _file_format(form: Form | None, out: Path | None) -> FileFormat | None:
    """Return how rows are written, or None for a table on the terminal."""
    if form == "table" and out is not None:
        raise InvalidArgument(f"cannot write a table to {out}; choose csv, json or parquet")
    if form == "parquet" and out is None:
        raise InvalidArgument("cannot print Parquet; write it to a file with --out FILE.parquet")
    if form is None:
        return None if out is None else format_of(out)
    return None if form == "table" else form


def _print_written(count: int, seconds: float, out: Path, as_json: bool) -> None:
    if as_json:
        print_json({"rows": count, "seconds": seconds, "out": str(out)})
    else:
        sys.stdout.write(f"{counted(count, 'row')} in {duration(seconds)}, written to {out}\n")


def _print_json(table: pa.Table, seconds: float) -> None:
    print_json(
        {
            "rows": len(table),
            "seconds": seconds,
            "columns": table.column_names,
            "values": json_values.rows(table),
        }
    )


def _print_rows(table: pa.Table, seconds: float) -> None:
    shown = table.slice(0, _SHOWN_ROWS)
    columns = [["" if value is None else value for value in c.to_pylist()] for c in shown.columns]
    numbers = {
        field.name
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    }
    print_table(table.column_names, zip(*columns, strict=True), right=numbers)
    more = len(table) > _SHOWN_ROWS
    rows = (
        f"the first {_SHOWN_ROWS} rows (use --format csv for all)"
        if more
        else counted(len(table), "row")
    )
    sys.stdout.write(f"{rows} in {duration(seconds)}\n")
