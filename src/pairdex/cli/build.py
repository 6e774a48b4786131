"""`pairdex build`: parts → collection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pairdex
from pairdex.cli.options import ClusterOption, JsonOption, PartsOption, WorkersOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.parts.layout import DEFAULT_TOWER, Tower
from pairdex.parts.nsfw import NsfwRule
from pairdex.parts.numbers import parse_numbers
from pairdex.parts.subsets import SubsetName
from pairdex.wording import duration

if TYPE_CHECKING:
    from pairdex.store.build import BuildReport

EXAMPLES = (
    "pairdex build parts my-collection",
    "pairdex build parts my-collection --nsfw safe --limit 1000000 --workers 4",
)
PANELS = {
    "Rows to keep": "parts nsfw where limit subset",
    "Source": "metadata tower model replace_part skip_incomplete",
    "Work and output": "workers cluster link as_json",
}

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder of parts (layout of LAION, clip-retrieval or DataComp), table with vectors, SISAP "
        "bundle (.h5), or address of a folder of numbered parts (s3://, hf://, https://).",
    ),
]
TargetArgument = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="Folder of the collection, new or existing.")
]
NsfwOption = Annotated[
    NsfwRule | None,
    typer.Option(help="Rule for rows by their NSFW tag (default: none, keep all)."),
]
WhereOption = Annotated[
    str | None,
    typer.Option(metavar="SQL", help='Keep only rows that match, such as "width >= 512".'),
]
LimitOption = Annotated[
    int | None, typer.Option(metavar="N", help="Keep at most N rows (default: all).")
]
SubsetOption = Annotated[
    SubsetName | None, typer.Option(help="Use the parts and the NSFW rule of this SISAP subset.")
]
MetadataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="TSV of a SISAP bundle (default: the meta-SIZE.tsv beside it)."
    ),
]
MadeByOption = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Model that made the vectors: demo, a name, or a folder."),
]
TowerOption = Annotated[
    Tower, typer.Option(help="For DataComp parts: which of the two models' vectors to use.")
]
ReplaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--replace-part",
        metavar="N",
        help="Replace the rows of part N, whose files have changed (also 0-2,5).",
    ),
]
SkipOption = Annotated[
    bool, typer.Option("--skip-incomplete", help="Leave out parts that are not whole.")
]
LinkOption = Annotated[
    bool,
    typer.Option("--link", help="Link vectors to the released files instead of copying them."),
]


def command(
    source: SourceArgument,
    collection: TargetArgument,
    parts: PartsOption = None,
    nsfw: NsfwOption = None,
    where: WhereOption = None,
    limit: LimitOption = None,
    subset: SubsetOption = None,
    metadata: MetadataOption = None,
    replace_part: ReplaceOption = None,
    skip_incomplete: SkipOption = False,
    link: LinkOption = False,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
    model: MadeByOption = None,
    tower: TowerOption = DEFAULT_TOWER,
    as_json: JsonOption = False,
) -> None:
    """Build a collection from parts, or add parts to one.

    Run the same command again to resume an interrupted build.
    """
    with progress_bars() as progress:
        report = pairdex.build(
            source,
            collection,
            parts=parts,
            nsfw=nsfw,
            where=where,
            limit=limit,
            subset=subset,
            metadata=metadata,
            tower=tower,
            model=model,
            replace_parts=parse_numbers(",".join(replace_part)) if replace_part else (),
            skip_incomplete=skip_incomplete,
            link=link,
            workers=workers,
            cluster=cluster,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report, collection)


def _print_report(report: BuildReport, collection: Path) -> None:
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in report.dropped.items() if n)
    print_lines(
        {
            "collection": collection,
            "rows": report.rows,
            "added": report.added,
            "rows read": report.rows_read,
            "dropped": dropped or "none",
            **({"replaced": report.replaced} if report.replaced else {}),
            **({"skipped": report.skipped} if report.skipped else {}),
            "parts": report.parts,
            "dimensions": report.dim,
            "time": duration(report.seconds),
        }
        | {f"note {number}": note for number, note in enumerate(report.notes, start=1)}
    )
