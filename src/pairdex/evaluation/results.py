"""Find, read and write result files. Each holds one search of all queries with its times."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, as_array, checked
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.evaluation.alignment import aligned
from pairdex.files.hdf5 import HDF5_SUFFIXES
from pairdex.files.hdf5_tables import Value
from pairdex.files.neighbour_files import (
    Fact,
    NeighbourTable,
    read_facts,
    read_neighbours,
    split_group,
)
from pairdex.files.result_files import write_results as write_file
from pairdex.reference.read_gold import Gold
from pairdex.wording import counted

__all__ = ["NO_RESULT", "Found", "Result", "find_results", "read_result", "write_results"]

_OF_A_RESULT = frozenset({"algo", "querytime", "qps"})  # each of them marks a result file
APPLE_DOUBLE = "._"
NO_RESULT = "not a result file"


@dataclass(frozen=True)
class Result:
    """The content of a result file, and the gold standard to compare it with.

    Attributes
    ----------
    ids
        (n, k) int64, 0-based; -1 marks a missing neighbour.
    notes
        Sentences about what was inferred or assumed.
    """

    path: str
    ids: NDArray[np.int64]
    facts: dict[str, Fact]
    gold: Gold
    notes: tuple[str, ...]


@checked
def write_results(
    out: StrPath,
    ids: ArrayLike,
    distances: ArrayLike,
    *,
    algo: str | None = None,
    data: str | None = None,
    size: int | None = None,
    buildtime: float | None = None,
    querytime: float | None = None,
    params: str | None = None,
) -> None:
    """Write search results to a file that `evaluate` and SISAP's evaluation can read.

    Parameters
    ----------
    out
        FILE.h5 in SISAP's format, or FILE.parquet with one row per neighbour: query, rank, id,
        distance.
    ids
        Integers (n, k), 0-based, nearest first; -1 marks a missing neighbour.
    distances
        Numbers (n, k), 1 - cos; infinity for an id of -1.
    algo, data, size, buildtime, querytime, params
        Attributes of the HDF5 file: the algorithm's name, the data set and its number of rows, the
        seconds for building and for all queries, and the parameters. `evaluate` needs `algo` and
        `querytime` to find the file in a folder and to compare speeds.

    Raises
    ------
    InvalidArgument
        The suffix is unknown, the arrays have different shapes, or an id for an HDF5 file exceeds
        int32.
    WriteFailed
        The disk is full, or the file cannot be written.
    """
    found = as_array(ids, field="ids")
    near = as_array(distances, field="distances")
    if found.ndim != 2 or found.dtype.kind not in "iu":
        raise InvalidArgument(
            f"ids are {found.dtype} of shape {found.shape}, expected integers (n, k)", field="ids"
        )
    if near.shape != found.shape or near.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"distances are {near.dtype} of shape {near.shape}, expected numbers {found.shape}",
            field="distances",
        )
    given: dict[str, Value | None] = {
        "algo": algo,
        "data": data,
        "size": size,
        "buildtime": buildtime,
        "querytime": querytime,
        "params": params,
    }
    attributes = {name: value for name, value in given.items() if value is not None}
    write_file(Path(out), found.astype(np.int64), near.astype(np.float32), attributes=attributes)


@dataclass(frozen=True)
class Found:
    """The result files among files and folders.

    Attributes
    ----------
    named
        Files that were given by name. They must be result files.
    listed
        Result files in folders.
    passed_over
        The other files in the folders with a suffix of HDF5, and why each is not used.
    """

    named: list[str]
    listed: list[str]
    passed_over: dict[str, str]


def find_results(sources: Iterable[StrPath]) -> Found:
    """Return the result files in files and folders.

    A file given by name always counts as a result file. In a folder and its sub-folders, files that
    cannot be read and HDF5 files without `knns`, or without `algo`, `querytime` and `qps`, are passed
    over.

    Raises
    ------
    MissingFile, InvalidArgument
        A file or folder is missing, or the folders hold no result file.
    """
    found = Found([], [], {})
    for source in sources:
        path = Path(source)
        if path.is_dir():
            _search_folder(path, found)
        elif split_group(source)[0].is_file():
            found.named.append(os.fspath(source))
        else:
            raise MissingFile(f"{source} does not exist; expected a result file or a folder")
    if not found.named and not found.listed:
        raise InvalidArgument(
            f"there are no result files in {', '.join(map(str, sources))}: expected HDF5 files "
            "with knns, and algo, querytime or qps",
            field="results",
        )
    return found


def _search_folder(folder: Path, found: Found) -> None:
    for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in HDF5_SUFFIXES):
        if not file.is_file():
            continue
        if file.name.startswith(APPLE_DOUBLE):
            found.passed_over[str(file)] = "macOS's notes on another file"
            continue
        try:
            is_result = _is_result(file)
        except (DamagedFile, UnsupportedFormat) as error:
            found.passed_over[str(file)] = str(error)
            continue
        if is_result:
            found.listed.append(str(file))
        else:
            found.passed_over[str(file)] = NO_RESULT


def read_result(source: str, golds: Sequence[Gold]) -> Result:
    """Read a result file and check its shape and origin against its gold standard.

    Raises
    ------
    MissingFile, UnsupportedFormat, DamagedFile
        The file is missing, is not a result file, or has ids outside the collection.
    Mismatch
        The file and the gold standard have different collections or queries.
    """
    table = read_neighbours(source)
    gold = _its_gold(table, golds)
    notes = []
    for fact, what in (("collection_checksum", "collection"), ("queries_checksum", "queries")):
        here, there = table.facts.get(fact), gold.facts.get(fact)
        if here is None or there is None:
            notes.append(f"taken to be of the gold standard's {what}: one of them does not say")
        elif here != there:
            names = _named(table.facts, gold.facts) if what == "collection" else ""
            raise Mismatch(
                f"{table.path} and {gold.path} are not of the same {what}{names}: "
                f"make a gold standard of the {what} that was searched"
            )
    ids, recognised = aligned(table, gold)
    return Result(table.path, ids, table.facts, gold, (*recognised, *notes))


def _is_result(path: Path) -> bool:
    facts, names = read_facts(path)
    return "knns" in names and not _OF_A_RESULT.isdisjoint(facts)


def _its_gold(table: NeighbourTable, golds: Sequence[Gold]) -> Gold:
    """Choose the gold standard by the queries' checksum, else by a unique number of queries."""
    if len(golds) == 1:
        return golds[0]
    said = table.facts.get("queries_checksum")
    fitting = [gold for gold in golds if said and gold.facts.get("queries_checksum") == said]
    fitting = fitting or [gold for gold in golds if gold.n in table.knns.shape]
    if len(fitting) != 1:
        what = "none of the gold standards" if not fitting else "more than one gold standard"
        raise Mismatch(
            f"{table.path} has knns of shape {table.knns.shape}, which fits {what}: "
            + ", ".join(f"{gold.path} has {counted(gold.n, 'query')}" for gold in fitting or golds)
        )
    return fitting[0]


def _named(one: dict[str, Fact], other: dict[str, Fact]) -> str:
    names = [facts.get("collection") or facts.get("data") for facts in (one, other)]
    return f" ({names[0]}, {names[1]})" if all(names) and names[0] != names[1] else ""
