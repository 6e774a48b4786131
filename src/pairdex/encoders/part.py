"""One part of the encoded pictures: prepared ahead, run through the model, written.

The table of a part is its last file, and carries what the part was made of: a later call can reuse
an existing part.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex.encoders.decoding import Decoded, Decoder, Failure
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.exif import Facts
from pairdex.encoders.pictures import Orientation
from pairdex.encoders.preprocess import normalised
from pairdex.encoders.sources import FACTS, Sample, Source
from pairdex.errors import DamagedFile
from pairdex.files import atomic, checksums, foreign_json
from pairdex.files.vectors import npy_header
from pairdex.progress import StepProgress

__all__ = ["PartFiles", "PartSummary", "digest_of", "encode_part", "read_summary"]

_KEY = b"pairdex"  # of the table's own metadata


@dataclass(frozen=True)
class PartSummary:
    """The record of a finished part."""

    digest: str
    rows: int
    without_caption: int
    failures: tuple[Failure, ...]
    notes: tuple[tuple[str, str], ...] = ()  # notes on pictures that are kept


@dataclass(frozen=True)
class PartFiles:
    """The three files of a part under `root`."""

    root: Path
    number: int

    @property
    def image(self) -> Path:
        """The vectors of the pictures."""
        return self.root / "img_emb" / f"img_emb_{self.number}.npy"

    @property
    def text(self) -> Path:
        """The vectors of the captions."""
        return self.root / "text_emb" / f"text_emb_{self.number}.npy"

    @property
    def metadata(self) -> Path:
        """The table."""
        return self.root / "metadata" / f"metadata_{self.number}.parquet"


class _Known(NamedTuple):
    """The stored facts of a decoded picture."""

    width: int
    height: int
    facts: Facts
    content: str | None


@dataclass
class _Rows:
    """The rows of a part under construction."""

    samples: list[Sample] = field(default_factory=list)
    decoded: list[_Known] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class HasColumns(Protocol):
    """What a part must know of its source."""

    @property
    def schema(self) -> pa.Schema:
        """The further columns, with their types."""

    @property
    def facts(self) -> Sequence[str]:
        """The names of `FACTS` that become columns."""

    @property
    def has_captions(self) -> bool:
        """Whether any sample has a caption."""


def encode_part(
    source: HasColumns,
    samples: Sequence[Sample],
    files: PartFiles,
    *,
    encoder: Encoder,
    decoder: Decoder,
    digest: str,
    progress: StepProgress,
) -> PartSummary:
    """Encode `samples` and write the files of their part; leave out unreadable samples.

    If all are unreadable, nothing is written.

    Parameters
    ----------
    progress
        Called with the pictures done and the pictures of this part.
    """
    rows = _encoded(samples, encoder, decoder, progress)
    captions = [sample.caption for sample in rows.samples]
    missing = sum(not caption for caption in captions)
    notes = tuple((sample.name, sample.note) for sample in rows.samples if sample.note)
    summary = PartSummary(digest, len(captions), missing, tuple(rows.failures), notes)
    if not captions:
        return summary
    images = np.concatenate(rows.vectors)
    texts = encoder.encode_captions(captions) if source.has_captions else None
    table = _table(source, rows, images, texts)
    _write_vectors(files.image, images)
    if texts is not None:
        _write_vectors(files.text, texts)
    _write_table(files.metadata, table, summary)
    return summary


def digest_of(
    source: Source, start: int, stop: int, encoder: Encoder, orientation: Orientation
) -> str:
    """Return a checksum of a part's inputs: model, samples, columns."""
    columns = [(one.name, str(one.type)) for one in source.schema]
    stamp = source.stamp(start, stop)
    how = (encoder.model.checksum, source.has_captions, orientation, list(source.facts))
    content = (how, columns, stamp)
    return checksums.of_bytes(json.dumps(content, default=str).encode())


def read_summary(files: PartFiles) -> PartSummary | None:
    """Return the record of a finished part; None if it does not exist or is foreign."""
    try:
        said = pq.read_metadata(files.metadata).metadata or {}
        content = foreign_json.parse(said[_KEY])
        failures = tuple(Failure(*pair) for pair in content["failures"])
        notes = tuple((name, note) for name, note in content["notes"])
        return PartSummary(
            content["digest"], content["rows"], content["without_caption"], failures, notes
        )
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None


def _encoded(
    samples: Sequence[Sample], encoder: Encoder, decoder: Decoder, progress: StepProgress
) -> _Rows:
    rows, batch, done = _Rows(), list[Decoded](), 0
    for outcome in decoder.decoded(samples):
        done += 1
        if isinstance(outcome, Failure):
            rows.failures.append(outcome)
        else:
            batch.append(outcome)
        if len(batch) == encoder.image_batch or (batch and done == len(samples)):
            levels = np.stack([one.levels for one in batch])
            rows.vectors.append(encoder.encode_pixels(normalised(levels, encoder.model.image)))
            rows.samples += [one.sample for one in batch]
            rows.decoded += [_Known(one.width, one.height, one.facts, one.content) for one in batch]
            batch = []
            progress(done, len(samples))
    progress(done, len(samples))
    return rows


def _table(
    source: HasColumns,
    rows: _Rows,
    images: NDArray[np.float32],
    texts: NDArray[np.float32] | None,
) -> pa.Table:
    samples = rows.samples
    columns = {
        "image_path": pa.array([one.name for one in samples], pa.string()),
        "caption": pa.array([one.caption for one in samples], pa.string()),
        "width": pa.array([one.width for one in rows.decoded], pa.int32()),
        "height": pa.array([one.height for one in rows.decoded], pa.int32()),
    }
    if texts is not None:
        empty = np.array([not one.caption for one in samples], bool)
        cosines = np.einsum("ij,ij->i", images.astype(np.float64), texts.astype(np.float64))
        columns["similarity"] = pa.array(cosines, pa.float64(), mask=empty)
    for name in source.facts:
        columns[name] = pa.array(_facts(name, rows), FACTS[name])
    for i, further in enumerate(source.schema):
        columns[further.name] = _column(further, [one.values[i] for one in samples])
    return pa.table(columns)


def _facts(name: str, rows: _Rows) -> list[object]:
    """Return the pictures' values of one of `FACTS`."""
    if name == "folder":
        return [sample.name.rpartition("/")[0] for sample in rows.samples]
    if name == "content":
        return [one.content for one in rows.decoded]
    return [getattr(one.facts, name) for one in rows.decoded]


def _column(further: pa.Field, values: list[object]) -> pa.Array:
    try:
        return pa.array(values, further.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DamagedFile(
            f"the column {further.name} does not fit {further.type}: {str(error).splitlines()[0]}"
        ) from error


def _write_vectors(path: Path, vectors: NDArray[np.float32]) -> None:
    atomic.make_folder(path.parent)
    half = vectors.astype(np.float16)
    with atomic.replacing(path) as file:  # not by np.save, which does not report a full disk
        file.write(npy_header(len(half), half.shape[1], half.dtype))
        file.write(half.data)


def _write_table(path: Path, table: pa.Table, summary: PartSummary) -> None:
    said = {
        "digest": summary.digest,
        "rows": summary.rows,
        "without_caption": summary.without_caption,
        "failures": [(failure.name, failure.reason) for failure in summary.failures],
        "notes": summary.notes,
    }
    atomic.make_folder(path.parent)
    with atomic.replacing(path) as file:
        pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(said)}), file)
