"""Finding the parts of a release in a folder, by looking at what is there.

Four layouts: numbered files as of LAION-400M, LAION-2B-en and clip-retrieval
(`img_emb_12.npy`, `text_emb_12.npy`, `metadata_12.parquet`, with or without leading zeros, in one
folder or in one folder a kind), the pairs of DataComp (`UID.npz` with `UID.parquet`), and SISAP's
bundles, one part each (`laion2B-en-clip768v2-n=10M.h5`, with `meta-10M.tsv` where there is one).
Order is numeric: `img_emb_10` comes after `img_emb_2`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile
from pairdex.files.vectors import VectorFile, open_vectors
from pairdex.parts.bundle import (
    BundleVectors,
    find_bundle,
    is_bundle_name,
    metadata_beside,
    open_bundle,
)
from pairdex.parts.tsv import tsv_schema

__all__ = [
    "DEFAULT_TOWER",
    "Part",
    "Parts",
    "Tower",
    "find_parts",
    "format_numbers",
    "has_bundle",
    "numbers_of",
    "parse_numbers",
    "part_numbers",
]

Tower = Literal["b32", "l14"]
Parts = str | Iterable[int]
"""Numbers of parts: `0-9,12`, or integers."""

DEFAULT_TOWER: Tower = "l14"  # DataComp holds vectors of two models; this is the better one

_IMAGE = re.compile(r"img_emb_(\d+)\.npy")
_TEXT = re.compile(r"text_emb_(\d+)\.npy")
_METADATA = re.compile(r"metadata_(\d+)\.parquet")
_VECTOR_DTYPE = np.dtype("<f2")
_MAX_PARTS = 1_000_000  # of a range; the largest release has some thousands


@dataclass(frozen=True)
class Part:
    """One part, its files checked against each other.

    `number` is the part's own, as in its files' names; DataComp's parts are numbered as sorted, a
    bundle is part 0.
    """

    number: int
    image: VectorFile | BundleVectors
    text: VectorFile | None
    metadata: Path | None
    schema: pa.Schema

    @property
    def rows(self) -> int:
        """How many rows the part has."""
        return self.image.rows

    @property
    def dim(self) -> int:
        """The dimension of its vectors."""
        return self.image.dim

    @property
    def files(self) -> list[Path]:
        """The files it consists of, each once."""
        text = None if self.text is None else self.text.path
        paths = [self.image.path, text, self.metadata]
        return list(dict.fromkeys(path for path in paths if path is not None))

    @property
    def table_name(self) -> str:
        """What to call its metadata in messages."""
        return (
            f"{self.image.name} without metadata" if self.metadata is None else self.metadata.name
        )


def find_parts(
    source: Path,
    *,
    numbers: frozenset[int] | None = None,
    tower: Tower = DEFAULT_TOWER,
    metadata: Path | None = None,
) -> list[Part]:
    """Return the parts in `source` in numeric order, all their headers checked.

    Parameters
    ----------
    source
        A folder that holds parts, directly or in folders by kind; or a bundle.
    numbers
        Only these parts; all when None.
    tower
        Which of DataComp's two models to take.
    metadata
        The TSV of a bundle, where it is not the one beside it.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch, UnsupportedFormat, InvalidArgument
        No parts, a file missing from a part, damaged files, files that do not belong together.
    """
    if source.is_file() and is_bundle_name(source):
        return _bundle(source, source, metadata, numbers)
    if not source.is_dir():
        raise MissingFile(f"{source} is no folder; expected a folder of parts, or a bundle (.h5)")
    folders = _folders(source)
    images = _numbered(folders, _IMAGE)
    pairs = {} if images else dict(enumerate(_npz_pairs(folders)))
    if not images and not pairs:
        bundle = find_bundle(folders)
        if bundle is None:
            raise MissingFile(
                f"{source} holds no parts; expected img_emb_*.npy with metadata_*.parquet, "
                "*.npz with *.parquet, or a bundle like laion2B-en-clip768v2-n=10M.h5"
            )
        return _bundle(source, bundle, metadata, numbers)
    if metadata is not None:
        raise InvalidArgument(
            f"{source} holds parts with metadata of their own, got {metadata} too; "
            "a file of metadata goes with a bundle",
            field="metadata",
        )
    if images:
        parts = _numbered_parts(source, folders, _chosen(source, images, numbers))
    else:
        chosen = _chosen(source, pairs, numbers)
        parts = (_datacomp_part(number, path, tower) for number, path in chosen)
    return _checked(list(parts))


def part_numbers(source: Path) -> frozenset[int]:
    """Return the numbers of the parts whose image vectors are in `source`; nothing is opened."""
    return frozenset(_numbered(_folders(source), _IMAGE) if source.is_dir() else ())


def has_bundle(source: Path) -> bool:
    """Tell whether `source` is a bundle, or a folder that holds one."""
    if source.is_dir():
        return find_bundle(_folders(source)) is not None
    return source.is_file() and is_bundle_name(source)


def parse_numbers(text: str) -> frozenset[int]:
    """Parse part numbers such as `0-9,12`.

    Raises
    ------
    InvalidArgument
        The text is no list of numbers and ascending ranges.
    """
    numbers: set[int] = set()
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*", piece)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise InvalidArgument(
                f"the part range is {text!r}, expected numbers and ranges like 0-9,12",
                field="parts",
            )
        wanted = range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(numbers) + len(wanted) > _MAX_PARTS:
            raise InvalidArgument(
                f"the part range is {text!r}, expected at most {_MAX_PARTS:,} parts", field="parts"
            )
        numbers.update(wanted)
    return frozenset(numbers)


def numbers_of(parts: Parts | None) -> frozenset[int] | None:
    """Return part numbers that come as a text like `0-9,12` or as integers; None for all parts.

    Raises
    ------
    InvalidArgument
        The text is no list of numbers and ascending ranges; a number below 0.
    """
    if parts is None:
        return None
    if isinstance(parts, str):
        return parse_numbers(parts)
    numbers = frozenset(parts)
    if numbers and min(numbers) < 0:
        raise InvalidArgument(f"parts has {min(numbers)}, expected numbers from 0", field="parts")
    return numbers


def format_numbers(numbers: Iterable[int]) -> str:
    """Write part numbers as `parse_numbers` reads them: 0-9,12."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def _folders(source: Path) -> list[Path]:
    return [source, *sorted(entry for entry in source.iterdir() if entry.is_dir())]


def _numbered(folders: Iterable[Path], pattern: re.Pattern[str]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            match = pattern.fullmatch(path.name)
            if match and path.is_file():
                other = found.setdefault(int(match[1]), path)
                if other != path:
                    raise Mismatch(
                        f"{other} and {path} are both part {int(match[1])}; remove one or name its folder"
                    )
    return dict(sorted(found.items()))


def _chosen(
    source: Path, found: dict[int, Path], numbers: frozenset[int] | None
) -> list[tuple[int, Path]]:
    if numbers is not None and not numbers:
        raise InvalidArgument("the set of parts is empty, expected their numbers", field="parts")
    absent = sorted((numbers or frozenset()) - found.keys())
    if absent:
        more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
        raise MissingFile(
            f"{source} holds no part {absent[0]}{more}; it holds {len(found):,} parts, "
            f"{min(found)} to {max(found)}"
        )
    return [(n, path) for n, path in found.items() if numbers is None or n in numbers]


def _numbered_parts(
    source: Path, folders: list[Path], images: list[tuple[int, Path]]
) -> Iterator[Part]:
    texts, tables = _numbered(folders, _TEXT), _numbered(folders, _METADATA)
    for number, path in images:
        digits = path.stem.rpartition("_")[2]
        if number not in tables:
            raise MissingFile(
                f"{source} has {path.name} but no metadata_{digits}.parquet; fetch it"
            )
        if texts and number not in texts:
            raise MissingFile(f"{source} has {path.name} but no text_emb_{digits}.npy; fetch it")
        text = open_vectors(texts[number]) if texts else None
        yield _part(number, open_vectors(path), text, tables[number])


def _bundle(
    source: Path, path: Path, metadata: Path | None, numbers: frozenset[int] | None
) -> list[Part]:
    """Return the one part that a bundle is."""
    _chosen(source, {0: path}, numbers)
    vectors, table = open_bundle(path), metadata or metadata_beside(path)
    if table is not None and not table.is_file():
        raise MissingFile(f"{table} does not exist; expected the metadata of {path.name}")
    schema = pa.schema([]) if table is None else tsv_schema(table)
    return [Part(0, vectors, None, table, schema)]


def _npz_pairs(folders: Iterable[Path]) -> list[Path]:
    paths = [path for folder in folders for path in sorted(folder.glob("*.npz"), key=_numeric)]
    lone = [path for path in paths if not path.with_suffix(".parquet").is_file()]
    if 0 < len(lone) < len(paths):
        raise MissingFile(f"{lone[0]} has no {lone[0].stem}.parquet beside it; fetch it")
    return [] if lone else paths


def _numeric(path: Path) -> tuple[int, str]:
    """Order 2.npz before 10.npz, and hexadecimal names as text."""
    return (int(path.stem) if path.stem.isdecimal() else 0), path.name


def _datacomp_part(number: int, path: Path, tower: Tower) -> Part:
    image, text = open_vectors(path, f"{tower}_img"), open_vectors(path, f"{tower}_txt")
    return _part(number, image, text, path.with_suffix(".parquet"))


def _part(number: int, image: VectorFile, text: VectorFile | None, metadata: Path) -> Part:
    try:
        with pa.OSFile(os.fsencode(metadata)) as raw, pq.ParquetFile(raw) as footer:
            rows, schema = footer.metadata.num_rows, footer.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(
            f"{metadata} is no readable Parquet file: {reason}; fetch it again"
        ) from error
    for name, count in [(metadata.name, rows), *([(text.name, text.rows)] if text else [])]:
        if count != image.rows:
            raise Mismatch(
                f"{image.name} has {image.rows:,} rows, {name} has {count:,}: "
                f"the files do not belong together; fetch part {number} again"
            )
    return Part(number, image, text, metadata, schema)


def _checked(parts: list[Part]) -> list[Part]:
    """Refuse vectors of another dtype or dimension than float16 and the first part's."""
    first = parts[0].image
    for part in parts:
        for file in (part.image, *([part.text] if part.text else [])):
            if file.dtype != _VECTOR_DTYPE:
                raise Mismatch(
                    f"{file.name} holds {file.dtype}, expected {_VECTOR_DTYPE} in little-endian order; convert it"
                )
            if file.dim != first.dim:
                raise Mismatch(
                    f"{file.name} has dimension {file.dim}, {first.name} has {first.dim}: "
                    "vectors of two models do not go into one collection"
                )
    return parts
