"""`pairdex search`: the nearest rows of a text, a picture, a row or vectors; or rows without a query."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pairdex
from pairdex.cli.explain import ExplainOption, print_choices
from pairdex.cli.hit_tables import as_lists, print_hits, print_neighbours
from pairdex.cli.options import (
    CollectionArgument,
    JsonOption,
    KOption,
    ModelOption,
    NoCodesOption,
    SpaceOption,
    VectorsOption,
)
from pairdex.cli.output import print_json, progress_bars
from pairdex.cli.terms import query_of
from pairdex.encoders.first_use import model_place
from pairdex.errors import InvalidArgument
from pairdex.files.result_files import check_suffix
from pairdex.search import DEFAULT_K, Query, check_k
from pairdex.wording import counted, duration

if TYPE_CHECKING:
    from pairdex.collection import Collection
    from pairdex.evaluation.search_file import FileSearch
    from pairdex.knn.cosine import Report
    from pairdex.search import Hits, SearchReport

EXAMPLES = (
    'pairdex search my-collection --text "a red car" --where "width >= 512"',
    'pairdex search my-collection --like 5 --term "-0.5 red" -k 20',
    "pairdex search my-collection --where 'width > 99' --sort width --descending",
    "pairdex search my-collection --vectors queries.npy -k 100 --out results.h5",
)
PANELS = {
    "Query": "text image like vectors term unlike keywords no_keywords",
    "Filters and order": "where safe fold sort descending",
    "Method": "on k exact recall model no_codes cluster",
    "Output": "explain out as_json",
}

TextOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Search for a text.")]
ImageOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Search for a picture.")]
LikeOption = Annotated[
    int | None, typer.Option(metavar="ID", help="Search for rows similar to this row.")
]
TermOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TERM",
        help="Add a weighted text, such as '+2 at night' or '-0.5 red' (repeatable).",
    ),
]
UnlikeOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Move the query away from this text.")
]
KeywordsOption = Annotated[
    str | None,
    typer.Option(
        metavar="WORDS",
        help='Also rank by words in captions, or without a query by them alone, such as \'dog "red car" '
        "-cat': a quoted phrase must occur, a word after - must not.",
    ),
]
NoKeywordsOption = Annotated[
    bool,
    typer.Option(
        "--no-keywords",
        help="Rank a text by vectors alone, without the captions that contain its words.",
    ),
]
SortOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Without a query: order the rows that match by this column, or by id.",
    ),
]
DescendingOption = Annotated[
    bool, typer.Option("--descending", help="Reverse the order of --sort: largest or newest first.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(metavar="SQL", help='Find only rows that match, such as "width >= 512".'),
]
SafeOption = Annotated[
    bool, typer.Option("--safe", help="Find only rows that are known to be safe.")
]
FoldOption = Annotated[
    float | None,
    typer.Option(
        metavar="DISTANCE",
        help="Merge hits within this cosine distance of an earlier hit, such as 0.06 for "
        "near-duplicates (default: no merging).",
    ),
]
ExactOption = Annotated[bool, typer.Option("--exact", help="Ignore the index; search exactly.")]
RecallOption = Annotated[
    float | None,
    typer.Option(
        metavar="RECALL", help="Target recall (default: the one the index was built for)."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the results to FILE (.h5 or .parquet)."),
]


SearchClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="With --vectors: search on the nodes of this Ray cluster: host:port, or auto.",
    ),
]


def command(
    collection: CollectionArgument,
    text: TextOption = None,
    image: ImageOption = None,
    like: LikeOption = None,
    vectors: VectorsOption = None,
    on: SpaceOption = "image",
    k: KOption = DEFAULT_K,
    where: WhereOption = None,
    exact: ExactOption = False,
    recall: RecallOption = None,
    unlike: UnlikeOption = None,
    term: TermOption = None,
    safe: SafeOption = False,
    keywords: KeywordsOption = None,
    no_keywords: NoKeywordsOption = False,
    sort: SortOption = None,
    descending: DescendingOption = False,
    fold: FoldOption = None,
    model: ModelOption = None,
    out: OutOption = None,
    no_codes: NoCodesOption = False,
    cluster: SearchClusterOption = None,
    explain: ExplainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the rows nearest to a text, a picture, a row or vectors.

    Give one of --text, --image, --like and --vectors; --term adds to the first three. Without them,
    --keywords, --where and --sort choose and order the rows. A text also finds captions that contain its
    words. The search uses the approximate index if there is one and it is faster, and says so.
    """
    opened = pairdex.open(
        collection, model=None if model is None else model_place(model), use_codes=not no_codes
    )
    output = _Output(on, out, as_json=as_json, explain=explain)
    check_k(k)
    how: dict[str, Any] = {"k": k, "on": on, "where": where, "safe": safe}
    how |= {"exact": exact, "recall": recall}
    own = {"keywords": keywords, "sort": sort, "descending": descending, "fold": fold}
    if vectors is None:
        _refuse_without_vectors(cluster)
        query = _query(text, image, like, unlike, term)
        _search_one(opened, query, output, {**how, **own, "hybrid": not no_keywords})
        return
    _refuse_beside_vectors(*own.values(), no_keywords, text, image, like, unlike, term or None)
    _search_file(opened, vectors, output, how, cluster)


@dataclass(frozen=True)
class _Output:
    """What to print, and where."""

    on: str
    out: Path | None
    as_json: bool
    explain: bool

    def __post_init__(self) -> None:
        if self.out is not None:
            check_suffix(self.out)

    def how(self, report: Report) -> dict[str, object]:
        """Return how a search ran, for JSON."""
        choices = report.answered.choices
        explained = {"explain": [one.as_json() for one in choices]} if self.explain else {}
        return {**_how(report, self.on), **explained}

    def print_choices(self, report: Report) -> None:
        if self.explain:
            print_choices(report.answered.choices)


def _refuse_without_vectors(cluster: str | None) -> None:
    if cluster is not None:
        raise InvalidArgument(
            "a cluster searches for the vectors of a file, not for one query; leave out --cluster",
            field="cluster",
        )


def _refuse_beside_vectors(*values: object) -> None:
    if any(value is not None and value is not False for value in values):
        raise InvalidArgument(
            "search takes either --vectors or --text, --image, --like, --unlike, --term, "
            "--keywords, --no-keywords, --sort, --fold"
        )


def _query(
    text: str | None,
    image: Path | None,
    like: int | None,
    unlike: str | None,
    term: list[str] | None,
) -> Query | None:
    """Return the query of the options; None without any."""
    if all(value is None for value in (text, image, like, unlike)) and not term:
        return None
    return query_of(text, image, like, unlike, term)


def _search_one(
    collection: Collection,
    query: Query | None,
    output: _Output,
    options: dict[str, Any],
) -> None:
    """Search for one query; what the search needs is made first, so that its time is its own."""
    on, out = output.on, output.out
    if query is not None and query.needs_model:
        _ = collection.encoder  # a missing model is reported before codes are made
    with progress_bars() as progress:
        if query is not None:
            collection.prepare(on, exact=options["exact"], progress=progress)
        is_text = query is not None and query.only_text is not None and options["hybrid"]
        captioned = "caption" in collection.columns and collection.finder.use_codes
        if options["keywords"] is not None or (is_text and captioned):
            collection.prepare_keywords(progress=progress)
    started = time.perf_counter()
    hits = collection.search(query, **options)
    seconds = time.perf_counter() - started
    if out is not None:
        from pairdex.evaluation.search_file import write_hits  # noqa: PLC0415 - as above

        asked = {name: value for name, value in options.items() if name != "on"}
        write_hits(out, hits, collection=collection, on=on, seconds=seconds, options=asked)
    _print_one(hits, seconds, output)


def _print_one(hits: Hits, seconds: float, output: _Output) -> None:
    rows, how = hits.as_json(), output.how(hits.report)
    if output.as_json:
        print_json({"hits": rows, "seconds": seconds, **how, **_why(hits.report)})
        return
    print_hits(rows, with_distance=not hits.report.exact and hits.report.recall is None)
    sys.stdout.write(f"{_counted(hits)} in {duration(seconds)}{_by_method(hits.report)}\n")
    output.print_choices(hits.report)
    if hits.report.note is not None:
        sys.stderr.write(f"note: {hits.report.note}\n")


def _search_file(
    opened: pairdex.Collection,
    vectors: str,
    output: _Output,
    how: dict[str, Any],
    cluster: str | None,
) -> None:
    from pairdex.evaluation.search_file import search_file  # noqa: PLC0415 - help does not need it

    with progress_bars() as progress:
        found = search_file(
            opened, vectors, out=output.out, cluster=cluster, progress=progress, **how
        )
    _print_found(found, how["k"], output)


def _print_found(found: FileSearch, k: int, output: _Output) -> None:
    count, out = len(found.ids), output.out
    if output.as_json:
        facts = {"queries": count, "k": k, "seconds": found.seconds, **output.how(found.report)}
        results = as_lists(found.ids, found.distances) if out is None else {"out": str(out)}
        print_json({**results, **facts})
    elif out is not None:
        how = _by_index(found.report)
        sys.stdout.write(
            f"{counted(count, 'query')} in {duration(found.seconds)}{how}, written to {out}\n"
        )
    else:
        print_neighbours(found.ids, found.distances, digits=0 if output.on == "hamming" else 4)
    if not output.as_json:
        output.print_choices(found.report)


def _counted(hits: Hits) -> str:
    total = hits.report.total
    return (
        counted(len(hits), "row") if total is None else f"{len(hits):,} of {counted(total, 'row')}"
    )


def _by_method(report: SearchReport) -> str:
    """Return which method answered."""
    words = ", ".join(report.words)
    if report.method == "hybrid":
        return f", by vectors and the words {words}{_by_index(report)}"
    if report.method == "keywords":
        return f", by the words {words}"
    return _by_index(report) if report.method == "vectors" else ""


def _why(report: SearchReport) -> dict[str, object]:
    names = ("method", "words", "total", "next", "note")
    return {name: getattr(report, name) for name in names}


def _by_index(report: Report) -> str:
    """Return whether an answer by vectors is exact, and what people should know if it is not."""
    if report.recall is None:
        return ", exact" if report.exact else f", in {report.answered.by}, not exact"
    promised, rest = report.answered.promised, len(report.answered.exactly)
    least = "" if promised is None else f", at least {promised:.3f} promised"
    others = f"; {rest:,} answered exactly" if rest else ""
    return f", by the index (recall {report.recall:.3f}{least}{others})"


def _by_json(report: Report) -> dict[str, object]:
    """Return what answered; for an index, also the recall it measured and promises."""
    answered = report.answered
    said: dict[str, object] = {"by": answered.by}
    if answered.exactly:
        said["answered_exactly"] = len(answered.exactly)
    if report.recall is not None:
        said |= {"recall": report.recall, "recall_promised": answered.promised}
    return said


def _how(report: Report, on: str) -> dict[str, object]:
    return {
        "exact": report.exact,
        "on": on,
        "certified": report.certified,
        **(_by_json(report)),
        "scanned": report.scanned,
        "rechecked": report.rechecked,
    }
