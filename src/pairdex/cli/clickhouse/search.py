"""`pairdex clickhouse search`: the nearest rows of a loaded table."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

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
from pairdex.cli.hit_tables import as_lists, print_hits, print_neighbours
from pairdex.cli.options import (
    CollectionArgument,
    JsonOption,
    KOption,
    ModelOption,
    OnOption,
    VectorsOption,
)
from pairdex.cli.output import print_json
from pairdex.cli.search import ImageOption, LikeOption, OutOption, TextOption
from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.schema import DEFAULT_TABLE
from pairdex.clickhouse.search import search_table, search_vectors
from pairdex.collection import Collection
from pairdex.encoders.first_use import model_place
from pairdex.errors import InvalidArgument
from pairdex.files import json_values
from pairdex.files.query_files import read_queries
from pairdex.files.result_files import check_suffix, write_results
from pairdex.search import DEFAULT_K, Query
from pairdex.wording import counted, duration

EXAMPLES = (
    'pairdex clickhouse search my-collection --text "a red car"',
    "pairdex clickhouse search my-collection --like 5 --where \"NSFW = 'UNLIKELY'\"",
)
PANELS = {
    "Query": "text image like vectors",
    "Method": "on k where exact model",
    **PANEL,
    "Output": "out as_json",
}

WhereOption = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Find only rows that match this ClickHouse condition."),
]
ExactOption = Annotated[
    bool, typer.Option("--exact", help="Ignore the index; compare with all rows.")
]


def command(
    collection: CollectionArgument,
    text: TextOption = None,
    image: ImageOption = None,
    like: LikeOption = None,
    vectors: VectorsOption = None,
    on: OnOption = "image",
    k: KOption = DEFAULT_K,
    where: WhereOption = None,
    exact: ExactOption = False,
    model: ModelOption = None,
    out: OutOption = None,
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
    """Search a loaded table.

    Give one of --text, --image, --like and --vectors. ClickHouse finds the rows; their distances are
    computed from the vectors of the collection.
    """
    place = place_of(collection, path, url, user, password, password_file, ca_cert, no_verify)
    opened = Collection.open(collection, model=None if model is None else model_place(model))
    how: dict[str, Any] = {"table": table, "on": on, "k": k, "where": where, "exact": exact}
    if vectors is None:
        _search_one(opened, place, Query(text=text, image=image, like=like), as_json, how)
        return
    if any(value is not None for value in (text, image, like)):
        raise InvalidArgument("search takes either --vectors or one of --text, --image, --like")
    if out is not None:
        check_suffix(out)
    _search_many(opened, place, vectors, out, as_json, how)


def _search_one(
    collection: Collection, place: Place, query: Query, as_json: bool, how: dict[str, Any]
) -> None:
    started = time.perf_counter()
    found = search_table(collection, place, query, **how)
    seconds = time.perf_counter() - started
    rows = json_values.rows(found.table)
    if as_json:
        facts = {"exact": not found.by_index, "index": found.by_index, "seconds": seconds}
        print_json({"hits": rows, **facts})
        return
    print_hits(rows)
    by = "by the index" if found.by_index else "compared with all rows"
    sys.stdout.write(f"{counted(len(rows), 'row')} in {duration(seconds)}, {by}\n")


def _search_many(
    collection: Collection,
    place: Place,
    vectors: str,
    out: Path | None,
    as_json: bool,
    how: dict[str, Any],
) -> None:
    queries = read_queries(vectors)
    started = time.perf_counter()
    ids, distances = search_vectors(collection, place, queries, **how)
    seconds = time.perf_counter() - started
    if out is not None:
        write_results(out, ids, distances, attributes={"algo": "ClickHouse", "querytime": seconds})
    if as_json:
        results = as_lists(ids, distances) if out is None else {"out": str(out)}
        print_json({**results, "queries": len(ids), "k": how["k"], "seconds": seconds})
    elif out is not None:
        sys.stdout.write(f"{counted(len(ids), 'query')} in {duration(seconds)}, written to {out}\n")
    else:
        print_neighbours(ids, distances, digits=4)
