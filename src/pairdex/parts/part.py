"""One part: its vectors and its metadata, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pairdex.files.vectors import VectorFile
from pairdex.parts.bundle import BundleVectors
from pairdex.parts.parquet import parquet_files
from pairdex.parts.vector_columns import ColumnVectors

__all__ = ["Part", "PartVectors"]

PartVectors = VectorFile | BundleVectors | ColumnVectors


@dataclass(frozen=True)
class Part:
    """One part, its files checked against each other.

    `number` comes from the file names; parts without one are numbered in sorted order, and a bundle
    is part 0. `metadata` is a table, a folder of tables (as Spark writes them), or None.
    """

    number: int
    image: PartVectors
    text: PartVectors | None
    metadata: Path | None
    schema: pa.Schema

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.image.rows

    @property
    def dim(self) -> int:
        """The dimension of its vectors."""
        return self.image.dim

    @property
    def files(self) -> list[Path]:
        """Its distinct files."""
        tables = [] if self.metadata is None else parquet_files(self.metadata)
        vectors = [file.path for file in (self.image, self.text) if file is not None]
        return list(dict.fromkeys([*vectors, *tables]))

    @property
    def table_name(self) -> str:
        """Name of its metadata in messages."""
        return (
            f"{self.image.name} without metadata" if self.metadata is None else self.metadata.name
        )
