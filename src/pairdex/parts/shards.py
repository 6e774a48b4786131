"""Shards as img2dataset writes them: `00012.tar` with the pictures, `00012.parquet` with a row for each pair.

A member's name is its key. Until 2021-09-17 keys counted within the shard; later keys are
10**digits * shard + row. If the table has the column `key`, that column is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.errors import DamagedFile, MissingFile

__all__ = ["RowNumbers", "Shard", "find_shards", "read_shard_table", "shard_schema"]

_TAR = re.compile(r"(\d+)\.tar")


@dataclass(frozen=True)
class Shard:
    """A shard: its number, its name's digits, its pictures and its table."""

    number: int
    digits: str
    tar: Path
    table: Path


class RowNumbers:
    """Maps the key of a picture to its row in the shard's table.

    Parameters
    ----------
    digits
        The shard's number as written in the file names.
    rows
        Number of rows of the table.
    keys
        The table's column `key`, if any; numbers are compared as numbers.
    """

    def __init__(self, digits: str, rows: int, keys: pa.ChunkedArray | None) -> None:
        self._digits, self._rows = digits, rows
        self._by_key: dict[int | str, int] | None = None
        if keys is not None:
            self._by_key = {_number(str(key)): row for row, key in enumerate(keys.to_pylist())}

    def __call__(self, stem: str) -> int | None:
        """Return the row of the picture named `stem`, None if the table has no such row."""
        if self._by_key is not None:
            return self._by_key.get(_number(stem))
        if not stem.isdecimal():
            return None
        row = int(stem)  # a key that counts within all shards is at least 10**digits, so no row
        if row >= self._rows and stem.startswith(self._digits) and stem != self._digits:
            row = int(stem[len(self._digits) :])
        return row if row < self._rows else None


def find_shards(folder: Path) -> list[Shard]:
    """Return the shards in `folder` in numeric order.

    Raises
    ------
    MissingFile
        No folder, no shards, or a tar without its table.
    """
    if not folder.is_dir():
        raise MissingFile(f"{folder} is not a folder; expected a folder of shards")
    matches = [(_TAR.fullmatch(path.name), path) for path in folder.iterdir()]
    found = sorted(
        (Shard(int(m[1]), m[1], path, path.with_suffix(".parquet")) for m, path in matches if m),
        key=lambda shard: shard.number,
    )
    if not found:
        raise MissingFile(
            f"{folder} holds no shards; expected 00000.tar with 00000.parquet and so on"
        )
    for shard in found:
        if not shard.table.is_file():
            raise MissingFile(f"{shard.tar} has no {shard.table.name} beside it; fetch it")
    return found


def read_shard_table(path: Path) -> pa.Table:
    """Read a shard's table, about ten thousand rows.

    Raises
    ------
    DamagedFile
        The file is not a readable Parquet file.
    """
    with _opened(path) as file:
        return file.read()


def shard_schema(path: Path) -> tuple[pa.Schema, int]:
    """Return the columns and the number of rows of a shard's table.

    Raises
    ------
    DamagedFile
        The file is not a readable Parquet file.
    """
    with _opened(path) as file:
        return file.schema_arrow, int(file.metadata.num_rows)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pa.OSFile(os.fsencode(path)) as raw, pq.ParquetFile(raw) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} cannot be read: {reason}; fetch it again") from error


def _number(key: str) -> int | str:
    return int(key) if key.isdecimal() else key
