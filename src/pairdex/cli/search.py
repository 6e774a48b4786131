"""`pairdex search`: the nearest rows of a text, a picture, a row, or of many vectors."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pairdex.cli.model_option import model_place
from pairdex.cli.output import (
    JsonOption,
    NoCodesOption,
    duration,
    print_json,
    printable,
    progress_bars,
)
from pairdex.cli.space_option import SpaceOption
from pairdex.cli.terms import query_of
from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.files import json_values
from pairdex.files.query_files import read_query_set
from pairdex.files.result_files import check_suffix, write_results, write_table
from pairdex.knn.cosine import Report
from pairdex.search import DEFAULT_K, Hits, check_k


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    text: Annotated[str | None, typer.Option(help="Search for a text.")] = None,
    image: Annotated[Path | None, typer.Option(help="Search for a picture.")] = None,
    like: Annotated[int | None, typer.Option(help="Search for rows like this id.")] = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            help="Search for each vector of a file (.npy, .npz, .h5, .fvecs; FILE:NAME picks an array)."
        ),
    ] = None,
    on: SpaceOption = "image",
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = DEFAULT_K,
    where: Annotated[
        str | None, typer.Option(help="Only rows that satisfy this SQL predicate.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Search exactly although there is an index.")
    ] = False,
    recall: Annotated[
        float | None,
        typer.Option(help="What a search by the index should reach; what it was made for."),
    ] = None,
    unlike: Annotated[str | None, typer.Option(help="Away from this text.")] = None,
    term: Annotated[
        list[str] | None,
        typer.Option(
            help="And this text too, after its weight: '+2 at night', '-0.5 red' (repeatable)."
        ),
    ] = None,
    safe: Annotated[
        bool, typer.Option("--safe", help="Only rows that are known to be safe.")
    ] = False,
    keywords: Annotated[
        str | None, typer.Option(help="Words that captions should have: 'dog \"red car\" -cat'.")
    ] = None,
    fold: Annotated[
        float | None,
        typer.Option(help="Fold rows within this distance of an earlier hit into it (0.06)."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The collection's model, where it does not say or has moved.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the results to FILE.h5 or FILE.parquet.")
    ] = None,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the nearest rows of a text, a picture, a row, or of many vectors."""
    opened = Collection.open(
        collection, model=None if model is None else model_place(model), use_codes=not no_codes
    )
    if out is not None:
        check_suffix(out)
    check_k(k)
    if vectors is None:
        query = query_of(text, image, like, unlike, term)
        if query.needs_model:
            _ = opened.encoder  # a missing model is said before codes are made
        _prepare(opened, on, exact=exact)
        if keywords is not None:
            with progress_bars() as progress:
                opened.prepare_keywords(progress=progress)
        started = time.perf_counter()
        hits = opened.search(
            query,
            k=k,
            on=on,
            where=where,
            safe=safe,
            keywords=keywords,
            fold=fold,
            exact=exact,
            recall=recall,
        )
        _report_hits(hits, on, time.perf_counter() - started, out, as_json)
        return
    if any(value is not None for value in (text, image, like, unlike, keywords, fold)) or term:
        raise InvalidArgument(
            "search takes either --vectors or --text, --image, --like, --unlike, --term, "
            "--keywords, --fold"
        )
    queries = read_query_set(vectors)
    _prepare(opened, on, exact=exact)
    started = time.perf_counter()
    found = opened.nearest(
        queries.vectors, k, on=on, where=where, safe=safe, exact=exact, recall=recall
    )
    seconds = time.perf_counter() - started
    ids, distances = found
    if out is not None:
        attributes: dict[str, str | int | float] = {
            "data": opened.name,
            "size": len(opened),
            "algo": _algorithm(found.report, on),
            "buildtime": 0.0,
            "querytime": seconds,
            "params": f"k={k} on={on}" + (f" where={where}" if where else ""),
        }
        about = {"collection_checksum": opened.checksum, "queries_checksum": queries.checksum}
        write_results(out, ids, distances, attributes=attributes, about=about)
    if as_json:
        facts = {
            "queries": len(ids),
            "k": k,
            "seconds": seconds,
            **_how(found.report, on),
        }
        where_to = {"out": str(out)} if out is not None else as_lists(ids, distances)
        print_json({**where_to, **facts})
    elif out is not None:
        how = _by_index(found.report)
        sys.stdout.write(f"{len(ids):,} queries in {duration(seconds)}{how}, written to {out}\n")
    else:
        print_neighbours(ids, distances, digits=0 if on == "hamming" else 4)


def _prepare(collection: Collection, on: str, *, exact: bool) -> None:
    with progress_bars() as progress:
        collection.prepare(on, exact=exact, progress=progress)


def _algorithm(report: Report, on: str) -> str:
    if report.recall is not None:
        return "pairdex ivf"
    return "pairdex exact" if report.exact else f"pairdex {on}"


def _by_index(report: Report) -> str:
    """Say what people should know of an answer that may not be exact."""
    return "" if report.recall is None else f", by the index (recall {report.recall:.3f})"


def _how(report: Report, on: str) -> dict[str, object]:
    return {
        "exact": report.exact,
        "space": on,
        "certified": report.certified,
        **({} if report.recall is None else {"by": "index", "recall": report.recall}),
        "scanned": report.scanned,
        "rechecked": report.rechecked,
    }


def _report_hits(hits: Hits, on: str, seconds: float, out: Path | None, as_json: bool) -> None:
    found = hits.table
    if out is not None and out.suffix == ".h5":
        ids = np.asarray(found["id"], np.int64)[None, :]
        distances = np.asarray(found["distance"], np.float32)[None, :]
        attributes: dict[str, str | int | float] = {
            "algo": _algorithm(hits.report, on),
            "querytime": seconds,
            "params": f"on={on}",
        }
        write_results(out, ids, distances, attributes=attributes)
    elif out is not None:
        write_table(out, found)
    if as_json:
        facts = {"seconds": seconds, **_how(hits.report, on)}
        print_json({"hits": hits.as_json(), **facts})
        return
    _print_hits(found, with_distance=not hits.report.exact and hits.report.recall is None)
    sys.stdout.write(f"{len(found):,} rows in {duration(seconds)}{_by_index(hits.report)}\n")


def _print_hits(found: pa.Table, *, with_distance: bool) -> None:
    headings = ["id", *(["distance"] if with_distance else []), "similarity", "caption"]
    table = Table(*headings, box=None, header_style="bold", pad_edge=False)
    table.add_column("picture", overflow="fold")
    for hit in json_values.rows(found):
        place = hit.get("url") or hit.get("image_path") or ""
        table.add_row(
            str(hit["id"]),
            *([f"{hit['distance']:.4g}"] if with_distance else []),
            f"{hit['similarity']:.3f}",
            printable(hit.get("caption") or ""),
            printable(place),
        )
    Console(highlight=False, markup=False, emoji=False).print(table)


def as_lists(
    ids: NDArray[np.int64], distances: NDArray[np.float32]
) -> dict[str, list[list[int]] | list[list[float | None]]]:
    """Return neighbours as JSON can carry them: no distance beside an id of -1."""
    shown: list[list[float | None]] = [
        [near if row_id >= 0 else None for row_id, near in zip(row, nears, strict=True)]
        for row, nears in zip(ids.tolist(), distances.tolist(), strict=True)
    ]
    return {"ids": ids.tolist(), "distances": shown}


def print_neighbours(
    ids: NDArray[np.int64], distances: NDArray[np.float32], *, digits: int
) -> None:
    for query, (row, nears) in enumerate(zip(ids, distances, strict=True)):
        pairs = " ".join(
            f"{i}:{near:.{digits}f}" for i, near in zip(row, nears, strict=True) if i >= 0
        )
        sys.stdout.write(f"{query}  {pairs}\n")
