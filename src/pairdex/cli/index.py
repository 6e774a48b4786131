"""`pairdex index`: the approximate index of a collection, tuned to a recall."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption, OnOption, read_size
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.ivf.parameters import DEFAULT_RECALL, IndexKind, Size
from pairdex.wording import counted, duration, size

if TYPE_CHECKING:
    from pairdex.derived.index_report import IndexReport
    from pairdex.ivf.efforts import Effort
    from pairdex.store.store import VectorField

EXAMPLES = (
    "pairdex index my-collection",
    "pairdex index my-collection --recall 0.99 --memory 4GB",
    "pairdex index my-collection --kind graph",
)

RecallOption = Annotated[
    float, typer.Option(metavar="RECALL", help="Target recall@10 of searches, from 0.5 to 0.999.")
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        metavar="SIZE",
        parser=read_size,
        help="Memory limit for building and searching, such as 4GB (default: no limit). With too "
        "little memory for all vectors, searches read them from disk.",
    ),
]
SizeOption = Annotated[
    Size | None,
    typer.Option(
        help="Size of the stored codes: fast takes half a byte per dimension, compact a quarter; of a "
        "graph: 32 neighbours of each row, or 16 (default: chosen from --memory)."
    ),
]
ListsOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of inverted lists (default: about 4 x sqrt(rows))."),
]

KindOption = Annotated[
    IndexKind,
    typer.Option(
        help="Kind of index. lists: small, for all queries. graph: lists, and a graph in memory, "
        "faster for queries like the rows. auto: a graph of images if memory holds it."
    ),
]


def command(
    collection: CollectionArgument,
    on: OnOption = "image",
    kind: KindOption = "lists",
    recall: RecallOption = DEFAULT_RECALL,
    memory: MemoryOption = None,
    size: SizeOption = None,
    nlist: ListsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build or update the approximate index, and measure its recall.

    Searches use the index when that is faster. Run the command again after parts were added, or to
    resume an interrupted build.
    """
    with progress_bars() as progress:
        report = pairdex.index(
            collection,
            on=on,
            recall=recall,
            memory=memory,
            size=size,
            nlist=nlist,
            kind=kind,
            progress=progress,
        )
    if as_json:
        print_json(_as_json(report, on))
    else:
        _print_report(report, on)


def _print_report(report: IndexReport, on: VectorField) -> None:
    print_lines(
        {
            "index": f"{report.how}, {report.size}, {counted(report.nlist, 'list')}",
            "rows": report.rows,
            "size": f"{size(report.bytes)}, {report.bytes / report.rows:.0f} bytes per row",
            **{
                f"{kind} queries": _described(effort, report.asked)
                for kind, effort in report.efforts.items()
            },
            **_graph_lines(report, on),
            "vectors": "read from disk" if report.on_disk else "in memory as they are read",
            "time": duration(report.seconds),
        }
    )


def _graph_lines(report: IndexReport, on: VectorField) -> dict[str, str]:
    graph = report.graph
    if graph is None:
        return {}
    what = f"{graph.how}, {graph.degree} neighbours, {size(graph.bytes)}"
    reached = f"does not reach recall {report.asked:g}"
    if graph.effort is not None:
        reached = (
            f"recall {graph.effort.recall:.3f} (at least {graph.effort.promised:.3f}), "
            f"{graph.effort.qps:,.0f} per second ({graph.effort.visits:,} visits)"
        )
    line = f"{what}, {graph.bytes / report.rows:,.0f} bytes per row; {reached}"
    advice = {"rebuild": rebuild_advice(on)} if graph.rebuild else {}
    return {"graph": line, **advice}


def rebuild_advice(on: str) -> str:
    """Say why and how to build a graph from scratch."""
    return (
        "a third of its rows was inserted or removed since it was built: for faster searches, delete "
        f"indexes/{on}/graph and run pairdex index with --kind graph"
    )


def _described(effort: Effort | None, asked: float) -> str:
    if effort is None:
        return f"searched exactly: the index does not reach recall {asked:g} or was not measured"
    least = f"at least {effort.promised:.3f} at 95 % confidence, {counted(effort.queries, 'query')}"
    return (
        f"recall {effort.recall:.3f} ({least}), {effort.qps:,.0f} per second "
        f"({counted(effort.nprobe, 'list')})"
    )


def _as_json(report: IndexReport, on: VectorField) -> dict[str, Any]:
    own = report.efforts[on]
    return {
        "kind": "lists" if report.graph is None else "graph",
        "graph": None if report.graph is None else asdict(report.graph),
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
