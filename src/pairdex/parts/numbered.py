"""Parts in numbered files: `img_emb_12.npy`, `text_emb_12.npy`, `metadata_12.parquet`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pairdex.errors import Mismatch
from pairdex.files.vectors import VectorFile, open_vectors
from pairdex.parts.parquet import parquet_schema
from pairdex.parts.part import Part
from pairdex.parts.whole import Listing, check_not_zeros
from pairdex.wording import counted

__all__ = ["NumberedFiles", "joined_part", "list_numbered"]

_IMAGE = re.compile(r"\.?img_emb_(\d+)\.npy")
_TEXT = re.compile(r"\.?text_emb_(\d+)\.npy")
_METADATA = re.compile(r"\.?metadata_(\d+)\.parquet")


@dataclass(frozen=True)
class NumberedFiles:
    """The files in the folders of a source, by kind."""

    source: Path
    images: Listing
    texts: Listing
    tables: Listing

    @property
    def numbers(self) -> list[int]:
        """Numbers with an image or metadata file, complete or partly fetched, in order."""
        kinds = (self.images, self.tables)
        return sorted({n for kind in kinds for n in (*kind.found, *kind.lost)})

    def problem(self, number: int) -> str | None:
        """Return what a part lacks; None if all its files exist."""
        for kind in (self.images, self.tables, self.texts):
            if number in kind.lost:
                return kind.lost[number]
        image, table = self.images.found.get(number), self.tables.found.get(number)
        if image is None:
            assert table is not None, number
            digits = table.stem.rpartition("_")[2]
            return f"{self.source} has {table.name} but no img_emb_{digits}.npy; fetch it"
        digits = image.stem.rpartition("_")[2]
        if table is None and (self.tables.found or self.tables.lost):
            return f"{self.source} has {image.name} but no metadata_{digits}.parquet; fetch it"
        if self.texts.found and number not in self.texts.found:
            return f"{self.source} has {image.name} but no text_emb_{digits}.npy; fetch it"
        return None

    def gap(self) -> str:
        """Return the numbers between the first and the last that have no files, such as `3-7,9`."""
        pairs = zip(self.numbers, self.numbers[1:], strict=False)
        runs = [(before + 1, after - 1) for before, after in pairs if after > before + 1]
        return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)

    def open(self, number: int) -> Part:
        """Open a complete part.

        Raises
        ------
        DamagedFile, Mismatch, UnsupportedFormat
            A file is damaged, or the files' row counts differ.
        """
        text = self.texts.found.get(number)
        return joined_part(
            number,
            open_vectors(self.images.found[number]),
            None if text is None else open_vectors(text),
            self.tables.found.get(number),
        )


def list_numbered(source: Path, folders: list[Path]) -> NumberedFiles:
    """List numbered files without opening them.

    Raises
    ------
    Mismatch
        Two files of a kind have the same number.
    """
    return NumberedFiles(
        source,
        Listing.of(folders, _IMAGE),
        Listing.of(folders, _TEXT),
        Listing.of(folders, _METADATA, tables=True),
    )


def joined_part(
    number: int, image: VectorFile, text: VectorFile | None, metadata: Path | None
) -> Part:
    """Open these files as a part.

    Raises
    ------
    DamagedFile, Mismatch
        The metadata is not Parquet, vectors are mostly zeros, or the files differ in rows.
    """
    rows, schema = (image.rows, pa.schema([])) if metadata is None else parquet_schema(metadata)
    for name, count in _counts(text, metadata, rows):
        if count != image.rows:
            raise Mismatch(
                f"{image.name} has {counted(image.rows, 'row')}, {name} has {count:,}: "
                f"the files do not belong together; fetch part {number} again"
            )
    for vectors in (image, text):
        check_not_zeros(vectors)
    return Part(number, image, text, metadata, schema)


def _counts(text: VectorFile | None, metadata: Path | None, rows: int) -> Iterator[tuple[str, int]]:
    if metadata is not None:
        yield metadata.name, rows
    if text is not None:
        yield text.name, text.rows
