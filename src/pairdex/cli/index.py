"""`pairdex index`: the approximate index of a collection, tuned to a recall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pairdex.cli.output import (
    JsonOption,
    duration,
    print_json,
    print_lines,
    progress_bars,
)
from pairdex.cli.output import (
    size as as_size,
)
from pairdex.derived.index import IndexReport, index
from pairdex.errors import InvalidArgument
from pairdex.ivf.efforts import Effort
from pairdex.ivf.parameters import DEFAULT_RECALL, Size
from pairdex.store.store import Kind
from pairdex.work.sizes import parse_size


def _bytes(text: str | None) -> int | None:
    """Read a size as people write it: 500MB, 4GB."""
    try:
        return None if text is None else parse_size(text)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    on: Annotated[Kind, typer.Option(help="The vectors to index.")] = "image",
    recall: Annotated[
        float, typer.Option(help="recall@10 that searches ask for where they do not say.")
    ] = DEFAULT_RECALL,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What building and searching may take: 4GB. Leaves the vectors on disk if need be."
        ),
    ] = None,
    size: Annotated[
        Size | None,
        typer.Option(
            help="fast: half a byte a dimension; compact: half of that. Follows from --memory."
        ),
    ] = None,
    nlist: Annotated[
        int | None, typer.Option(help="Number of lists; about 4 sqrt(rows) by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build the approximate index, or bring it up to date, and measure its recall."""
    memory_bytes = _bytes(memory)
    with progress_bars() as progress:
        report = index(
            collection,
            on=on,
            recall=recall,
            memory=memory_bytes,
            size=size,
            nlist=nlist,
            progress=progress,
        )
    if as_json:
        print_json(_as_json(report, on))
        return
    print_lines(
        {
            "index": f"{report.how}, {report.size}, {report.nlist:,} lists",
            "rows": report.rows,
            "size": f"{as_size(report.bytes)}, {report.bytes / report.rows:.0f} bytes a row",
            **{
                f"{kind} queries": _described(effort, report.asked)
                for kind, effort in report.efforts.items()
            },
            "vectors": "stay on disk" if report.on_disk else "in memory as they are read",
            "time": duration(report.seconds),
        }
    )


def _described(effort: Effort | None, asked: float) -> str:
    if effort is None:
        return f"exact: recall {asked:g} is not reached, or there was nothing to measure it with"
    return f"recall {effort.recall:.3f}, {effort.qps:,.0f} a second ({effort.nprobe:,} lists)"


def _as_json(report: IndexReport, on: Kind) -> dict[str, Any]:
    own = report.efforts[on]
    return {
        "rows": report.rows,
        "bytes": report.bytes,
        "bytes_a_row": report.bytes / report.rows,
        "seconds": report.seconds,
        "recall": {
            kind: None if effort is None else effort.recall
            for kind, effort in report.efforts.items()
        },
        "qps": None if own is None else own.qps,
        "asked": report.asked,
        "on": on,
        "how": report.how,
        "size": report.size,
        "nlist": report.nlist,
        "on_disk": report.on_disk,
        "efforts": {
            kind: None if effort is None else vars(effort)
            for kind, effort in report.efforts.items()
        },
    }
