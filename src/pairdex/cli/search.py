"""`pairdex search`: the nearest rows of a text, a picture, a row, or of many vectors."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from pairdex import json_values
from pairdex.cli.output import JsonOption, duration, print_json
from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.query_files import read_queries
from pairdex.result_files import check_suffix, write_results, write_table
from pairdex.search import DEFAULT_K
from pairdex.store.store import Kind


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
    on: Annotated[Kind, typer.Option(help="Which vectors to search.")] = "image",
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = DEFAULT_K,
    where: Annotated[
        str | None, typer.Option(help="Only rows that satisfy this SQL predicate.")
    ] = None,
    exact: Annotated[  # noqa: ARG001 - every search is exact as long as there is no index
        bool, typer.Option("--exact", help="Search exactly (there is no other way yet).")
    ] = False,
    unlike: Annotated[str | None, typer.Option(help="Away from this text.")] = None,
    model: Annotated[
        str | None, typer.Option(help="The collection's model, where it does not say or has moved.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the results to FILE.h5 or FILE.parquet.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the nearest rows of a text, a picture, a row, or of many vectors."""
    opened = Collection.open(collection, model=model)
    if out is not None:
        check_suffix(out)
    if vectors is None:
        started = time.perf_counter()
        found = opened.search(
            text=text, image=image, like=like, unlike=unlike, k=k, on=on, where=where
        )
        _report_hits(found, time.perf_counter() - started, out, as_json)
        return
    if any(value is not None for value in (text, image, like, unlike)):
        raise InvalidArgument("search takes either --vectors or --text, --image, --like, --unlike")
    queries = read_queries(vectors)
    started = time.perf_counter()
    ids, distances = opened.nearest(queries, k, on=on, where=where)
    seconds = time.perf_counter() - started
    if out is not None:
        attributes: dict[str, str | int | float] = {
            "data": opened.name,
            "size": len(opened),
            "algo": "pairdex exact",
            "buildtime": 0.0,
            "querytime": seconds,
            "params": f"k={k} on={on}" + (f" where={where}" if where else ""),
        }
        write_results(out, ids, distances, attributes=attributes)
    _report_neighbours(ids, distances, seconds, out, as_json)


def _report_hits(found: pa.Table, seconds: float, out: Path | None, as_json: bool) -> None:
    if out is not None and out.suffix == ".h5":
        ids = np.asarray(found["id"], np.int64)[None, :]
        distances = np.asarray(found["distance"], np.float32)[None, :]
        write_results(
            out, ids, distances, attributes={"algo": "pairdex exact", "querytime": seconds}
        )
    elif out is not None:
        write_table(out, found)
    if as_json:
        print_json({"hits": json_values.rows(found), "exact": True, "seconds": seconds})
        return
    table = Table(
        "id", "similarity", "caption", "url", box=None, header_style="bold", pad_edge=False
    )
    for hit in json_values.rows(found):
        place = hit.get("url") or hit.get("image_path") or ""
        table.add_row(
            str(hit["id"]), f"{hit['similarity']:.3f}", *map(_plain, (hit.get("caption"), place))
        )
    Console(highlight=False, markup=False).print(table)
    sys.stdout.write(f"{len(found):,} rows in {duration(seconds)}\n")


def _plain(value: object) -> str:
    """Return a stored text without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(value or ""))


def _report_neighbours(
    ids: np.ndarray, distances: np.ndarray, seconds: float, out: Path | None, as_json: bool
) -> None:
    facts = {"queries": len(ids), "k": ids.shape[1], "exact": True, "seconds": seconds}
    if as_json and out is not None:
        print_json({**facts, "out": str(out)})
    elif as_json:
        shown = [
            [d if i >= 0 else None for i, d in zip(*row, strict=True)]
            for row in zip(ids.tolist(), distances.tolist(), strict=True)
        ]
        print_json({"ids": ids.tolist(), "distances": shown, **facts})
    elif out is not None:
        sys.stdout.write(f"{len(ids):,} queries in {duration(seconds)}, written to {out}\n")
    else:
        for query, (row, near) in enumerate(zip(ids, distances, strict=True)):
            pairs = " ".join(f"{i}:{d:.4f}" for i, d in zip(row, near, strict=True) if i >= 0)
            sys.stdout.write(f"{query}  {pairs}\n")
