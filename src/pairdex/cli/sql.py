"""`pairdex sql`: one SELECT over a collection's metadata, with search in it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from pairdex.cli.output import (
    JsonOption,
    NoCodesOption,
    duration,
    print_json,
    printable,
    progress_bars,
)
from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.files import atomic, json_values
from pairdex.metadata_sql.output import FileFormat, format_of, write_rows
from pairdex.metadata_sql.session import DEFAULT_MEMORY, selecting

_SHOWN_ROWS = 100


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT over `pairs`.")],
    form: Annotated[
        Literal["table", "csv", "json", "parquet"] | None,
        typer.Option("--format", help="What to print or write; of --out its name says it."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    memory: Annotated[str, typer.Option(help="What it may use.")] = DEFAULT_MEMORY,
    model: Annotated[
        str | None, typer.Option(help="The collection's model, where it does not say or has moved.")
    ] = None,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the collection's metadata by SQL, with search in it.

    The table is `pairs`; `nearest('a red car', 100)` is the table of the rows nearest to a text,
    `distance(id, 'a red car')` a row's distance. Nothing can be written, and no file be read.
    """
    kind = _file_format(form, out)
    opened = Collection.open(collection, model=model, use_codes=not no_codes)
    started = time.perf_counter()
    with (
        progress_bars() as progress,
        selecting(opened, statement, memory=memory, progress=progress) as rows,
    ):
        if out is not None and kind is not None:
            with atomic.replacing(out) as file:
                count = write_rows(rows, file, kind)
        elif kind is not None and not as_json:
            write_rows(rows, sys.stdout.buffer, kind)
            return
        else:
            table = rows.read_all() if as_json else _first(rows)
    seconds = time.perf_counter() - started
    if out is not None:
        _say_written(count, seconds, out, as_json)
    elif as_json:
        print_json(
            {
                "rows": len(table),
                "seconds": seconds,
                "columns": table.column_names,
                "values": json_values.rows(table),
            }
        )
    else:
        _print_table(table, seconds)


def _file_format(form: str | None, out: Path | None) -> FileFormat | None:
    """Return how rows are written, or None for a table on the terminal."""
    if form == "table" and out is not None:
        raise InvalidArgument(f"a table is for reading; write {out} as csv, json or parquet")
    if form == "parquet" and out is None:
        raise InvalidArgument("Parquet is no text: say where to with --out FILE.parquet")
    if form is None:
        return None if out is None else format_of(out)
    return None if form == "table" else form  # type: ignore[return-value]


def _say_written(count: int, seconds: float, out: Path, as_json: bool) -> None:
    if as_json:
        print_json({"rows": count, "seconds": seconds, "out": str(out)})
    else:
        sys.stdout.write(f"{count:,} rows in {duration(seconds)}, written to {out}\n")


def _first(rows: pa.RecordBatchReader) -> pa.Table:
    """Return one row more than is shown, and read no further."""
    batches, count = [], 0
    for batch in rows:
        batches.append(batch)
        count += len(batch)
        if count > _SHOWN_ROWS:
            break
    return pa.Table.from_batches(batches, rows.schema).slice(0, _SHOWN_ROWS + 1)


def _print_table(table: pa.Table, seconds: float) -> None:
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in table.column_names:
        shown.add_column(printable(name), overflow="fold")
    columns = table.slice(0, _SHOWN_ROWS)
    for row in columns.to_pylist():
        shown.add_row(*("" if value is None else printable(value) for value in row.values()))
    Console(highlight=False, markup=False, emoji=False).print(shown)
    more = len(table) > _SHOWN_ROWS
    rows = (
        f"the first {_SHOWN_ROWS} rows; --format csv gives all" if more else f"{len(table):,} rows"
    )
    sys.stdout.write(f"{rows} in {duration(seconds)}\n")
