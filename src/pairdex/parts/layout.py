"""Find the parts of a release in a folder by its files.

Layouts: numbered files as of LAION-400M, LAION-2B-en and clip-retrieval (`img_emb_12.npy`,
`text_emb_12.npy`, `metadata_12.parquet`, with or without leading zeros, in one folder or in one folder
a kind), the pairs of DataComp (`UID.npz` with `UID.parquet`), SISAP's bundles, one part each
(`laion2B-en-clip768v2-n=10M.h5`, with `meta-10M.tsv` where there is one), and tables with a column of
vectors. Order is numeric: `img_emb_10` comes after `img_emb_2`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    PairdexError,
    UnsupportedFormat,
)
from pairdex.files.vectors import open_vectors
from pairdex.parts.bundle import find_bundle, is_bundle_name, metadata_beside, open_bundle
from pairdex.parts.numbered import NumberedFiles, joined_part, list_numbered
from pairdex.parts.numbers import format_numbers, parse_numbers
from pairdex.parts.part import Part
from pairdex.parts.tsv import tsv_schema
from pairdex.parts.vector_columns import vector_columns
from pairdex.parts.whole import broken, check_not_zeros, entries, folders_of
from pairdex.wording import counted

__all__ = [
    "DEFAULT_TOWER",
    "FoundParts",
    "Part",
    "Tower",
    "find_parts",
    "format_numbers",
    "has_bundle",
    "parse_numbers",
    "part_numbers",
    "search_parts",
]

Tower = Literal["b32", "l14"]
DEFAULT_TOWER: Tower = "l14"  # DataComp holds vectors of two models; this is the better one

_FLOATS = ("float16", "float32", "float64")
_SHOWN_FILES = 5
_SKIP = "or leave it out with --skip-incomplete"
_EXPECTED = (
    "expected img_emb_*.npy with metadata_*.parquet, *.npz with *.parquet, a *.parquet with a column of "
    "vectors, or a bundle like laion2B-en-clip768v2-n=10M.h5"
)


@dataclass(frozen=True)
class FoundParts:
    """The complete parts of a source, and a message for each part that was left out."""

    parts: list[Part]
    skipped: list[str]


@dataclass(frozen=True)
class _Candidate:
    """A candidate part: its number, its problem if any, and how to open it."""

    number: int
    problem: str | None
    open: Callable[[], Part]


def find_parts(
    source: Path,
    *,
    numbers: frozenset[int] | None = None,
    tower: Tower = DEFAULT_TOWER,
    metadata: Path | None = None,
) -> list[Part]:
    """Return the parts in `source`, with gaps allowed; see `search_parts`."""
    return search_parts(
        source, numbers=numbers, tower=tower, metadata=metadata, allow_gaps=True
    ).parts


def search_parts(
    source: Path,
    *,
    numbers: frozenset[int] | None = None,
    tower: Tower = DEFAULT_TOWER,
    metadata: Path | None = None,
    skip_incomplete: bool = False,
    allow_gaps: bool = False,
) -> FoundParts:
    """Return the parts in `source` in numeric order, all their headers checked.

    Parameters
    ----------
    source
        A folder that holds parts, directly or in folders by kind; a bundle; or a file of vectors, or a
        table with a column of them.
    numbers
        Only these parts; None for all.
    tower
        Which of DataComp's two models to use.
    metadata
        The TSV of a bundle; default: the one beside it.
    skip_incomplete
        Leave out incomplete parts instead of raising.
    allow_gaps
        Accept gaps in the part numbers.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch, UnsupportedFormat, InvalidArgument
        No parts found, a part lacks a file, files are damaged or do not match.
    """
    if source.is_file() and is_bundle_name(source):
        return FoundParts(_bundle(source, source, metadata, numbers), [])
    if source.is_file() and source.suffix.lower() in (".npy", ".parquet"):
        return FoundParts([_single(source, numbers)], [])
    if not source.is_dir():
        what = broken(source) or f"{source} is not a folder"
        raise MissingFile(f"{what}; expected a folder of parts, or a bundle (.h5)")
    folders = folders_of(source)
    candidates, gap = _candidates(source, folders, tower)
    if not candidates:
        bundle = find_bundle(folders)
        if bundle is None:
            raise MissingFile(f"{source} holds no parts; {_EXPECTED}{_found_instead(folders)}")
        return FoundParts(_bundle(source, bundle, metadata, numbers), [])
    if metadata is not None:
        raise InvalidArgument(
            f"{source} holds parts with metadata of their own, got {metadata} too; "
            "a file of metadata goes with a bundle",
            field="metadata",
        )
    chosen = _chosen(source, candidates, numbers)
    skipped = [] if allow_gaps or numbers is not None else gap
    if skipped and not skip_incomplete:
        raise MissingFile(
            f"{skipped[0]}: fetch what is missing, name the parts "
            "to build with --parts, or go on without it with --skip-incomplete"
        )
    found = _opened(source, chosen, skipped, skip_incomplete)
    return FoundParts(_checked(found.parts), found.skipped)


def part_numbers(source: Path) -> frozenset[int]:
    """Return the numbers of the parts whose image vectors are in `source`; open no file."""
    if not source.is_dir():
        return frozenset()
    return frozenset(list_numbered(source, folders_of(source)).images.found)


def has_bundle(source: Path) -> bool:
    """Return whether `source` is a bundle, or a folder that holds one."""
    if source.is_dir():
        return find_bundle(folders_of(source)) is not None
    return source.is_file() and is_bundle_name(source)


def _candidates(
    source: Path, folders: list[Path], tower: Tower
) -> tuple[dict[int, _Candidate], list[str]]:
    """Return candidate parts by number, and a message if numbers are missing between them."""
    numbered = list_numbered(source, folders)
    if numbered.images.found or numbered.images.lost:
        found = {
            n: _Candidate(n, numbered.problem(n), _opening(numbered, n)) for n in numbered.numbers
        }
        return found, _gap(source, numbered)
    pairs = _datacomp(folders, tower) or _tables(folders)
    return {candidate.number: candidate for candidate in pairs}, []


def _gap(source: Path, numbered: NumberedFiles) -> list[str]:
    gap = numbered.gap()
    if not gap:
        return []
    numbers = format_numbers(numbered.numbers)
    return [f"{source} holds the parts {numbers}, but not {gap}"]


def _opening(numbered: NumberedFiles, number: int) -> Callable[[], Part]:
    return lambda: numbered.open(number)


def _datacomp(folders: list[Path], tower: Tower) -> list[_Candidate]:
    """Return DataComp's pairs, complete or not, numbered in the order of their names."""
    files: dict[Path, dict[str, str | None]] = {}
    for path in _with_suffixes(folders, (".npz", ".parquet")):
        files.setdefault(path.with_suffix(""), {})[path.suffix] = broken(path)
    if not any(".npz" in pair and ".parquet" in pair for pair in files.values()):
        return []
    return [
        _Candidate(number, _pair_problem(stem, files[stem]), _pair_opening(number, stem, tower))
        for number, stem in enumerate(sorted(files, key=_numeric))
    ]


def _pair_problem(stem: Path, pair: dict[str, str | None]) -> str | None:
    for one, other in ((".npz", ".parquet"), (".parquet", ".npz")):
        if other not in pair:
            return f"{stem}{one} has no {stem.name}{other} beside it; fetch it"
    return next((problem for problem in pair.values() if problem is not None), None)


def _pair_opening(number: int, stem: Path, tower: Tower) -> Callable[[], Part]:
    def opening() -> Part:
        path = stem.with_name(f"{stem.name}.npz")
        image, text = open_vectors(path, f"{tower}_img"), open_vectors(path, f"{tower}_txt")
        return joined_part(number, image, text, stem.with_name(f"{stem.name}.parquet"))

    return opening


def _tables(folders: list[Path]) -> list[_Candidate]:
    """Return tables as parts if a readable one has a column of vectors."""
    paths = _with_suffixes(folders, (".parquet",))
    whole = [path for path in paths if path.is_file() and broken(path) is None]
    if not any(_has_vectors(path) for path in whole):
        return []
    return [
        _Candidate(number, broken(path), _table_opening(number, path))
        for number, path in enumerate(sorted(paths, key=_numeric))
    ]


def _has_vectors(path: Path) -> bool:
    try:
        return vector_columns(path) is not None
    except DamagedFile:  # if another table has vectors, opening this one again reports the error
        return False


def _table_opening(number: int, path: Path) -> Callable[[], Part]:
    def opening() -> Part:
        found = vector_columns(path)
        if found is None:
            raise UnsupportedFormat(
                f"{path} has no column of vectors, the tables beside it have one"
            )
        image, text, schema = found
        return Part(number, image, text, path, schema)

    return opening


def _with_suffixes(folders: list[Path], suffixes: tuple[str, ...]) -> list[Path]:
    return [path for folder in folders for path in entries(folder) if path.suffix in suffixes]


def _numeric(path: Path) -> tuple[int, str]:
    """Order 2 before 10, and hexadecimal names as text."""
    return (int(path.stem) if path.stem.isdecimal() else 0), path.name


def _chosen(
    source: Path, found: dict[int, _Candidate], numbers: frozenset[int] | None
) -> list[_Candidate]:
    if numbers is not None and not numbers:
        raise InvalidArgument("the set of parts is empty, expected their numbers", field="parts")
    absent = sorted((numbers or frozenset()) - found.keys())
    if absent:
        more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
        raise MissingFile(
            f"{source} holds no part {absent[0]}{more}; it holds {counted(len(found), 'part')}, "
            f"{min(found)} to {max(found)}"
        )
    return [candidate for n, candidate in found.items() if numbers is None or n in numbers]


def _opened(
    source: Path, candidates: Iterable[_Candidate], skipped: list[str], skip: bool
) -> FoundParts:
    """Open the complete parts; raise for the others, or list them."""
    parts: list[Part] = []
    lines = list(skipped)
    for candidate in candidates:
        opened = _try_open(candidate)
        if isinstance(opened, Part):
            parts.append(opened)
        elif skip:
            lines.append(f"part {candidate.number} is left out: {opened}")
        else:
            raise _skippable(opened, f"{opened}; {_SKIP}") from opened
    if not parts:
        raise MissingFile(f"no part of {source} is whole: {lines[-1]}")
    return FoundParts(parts, lines)


def _try_open(candidate: _Candidate) -> Part | PairdexError:
    """Return the part, or why it is incomplete."""
    if candidate.problem is not None:
        return MissingFile(candidate.problem)
    try:
        return candidate.open()
    except PairdexError as error:
        return error


def _skippable(error: PairdexError, message: str) -> PairdexError:
    """Return the error with the advice to skip the part."""
    if isinstance(error, InvalidArgument):
        return InvalidArgument(message, field=error.field)
    return type(error)(message)


def _single(source: Path, numbers: frozenset[int] | None) -> Part:
    """Return a file of vectors, or a table with vectors, as one part."""
    _chosen(source, {0: _Candidate(0, None, _table_opening(0, source))}, numbers)
    problem = broken(source)
    if problem is not None:
        raise MissingFile(problem)
    if source.suffix.lower() == ".parquet":
        return _checked([_table_opening(0, source)()])[0]
    vectors = open_vectors(source)
    check_not_zeros(vectors)
    return _checked([Part(0, vectors, None, None, pa.schema([]))])[0]


def _bundle(
    source: Path, path: Path, metadata: Path | None, numbers: frozenset[int] | None
) -> list[Part]:
    """Return a bundle as one part."""
    problem = broken(path)
    if problem is not None:
        raise MissingFile(problem)
    _chosen(source, {0: _Candidate(0, None, _table_opening(0, path))}, numbers)
    vectors, table = open_bundle(path), metadata or metadata_beside(path)
    if table is not None and not table.is_file():
        raise MissingFile(f"{table} does not exist; expected the metadata of {path.name}")
    schema = pa.schema([]) if table is None else tsv_schema(table)
    return [Part(0, vectors, None, table, schema)]


def _checked(parts: list[Part]) -> list[Part]:
    """Raise unless all vectors are floats of the first part's dimension."""
    first = parts[0].image
    for part in parts:
        for file in (part.image, *([part.text] if part.text else [])):
            if file.dtype.name not in _FLOATS:
                raise Mismatch(f"{file.name} holds {file.dtype}, expected floats")
            if file.dim != first.dim:
                raise Mismatch(
                    f"{file.name} has dimension {file.dim}, {first.name} has {first.dim}: "
                    "vectors of two models do not go into one collection"
                )
    return parts


def _found_instead(folders: list[Path]) -> str:
    """List some of the existing files, if any."""
    names = [path.name for folder in folders for path in entries(folder) if path.is_file()]
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN_FILES:,} more" if len(names) > _SHOWN_FILES else ""
    return f"; it holds {', '.join(names[:_SHOWN_FILES])}{more}"
