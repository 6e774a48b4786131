"""Encoding parts on other machines that see the pictures, the model and the folder of parts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pairdex.encoders.decoding import DecodingRules, decoder
from pairdex.encoders.encoder import Device, Encoder
from pairdex.encoders.first_use import named_model
from pairdex.encoders.part import PartFiles, PartSummary, encode_part
from pairdex.encoders.sources import Sample
from pairdex.errors import Mismatch

__all__ = ["PartColumns", "PartWork", "encode_elsewhere", "with_absolute_places"]


@dataclass(frozen=True, eq=False)
class PartColumns:
    """The columns of a source's parts; see `Source`."""

    has_captions: bool
    facts: Sequence[str]
    schema: pa.Schema


@dataclass(frozen=True, eq=False)
class PartWork:
    """One part to encode; it depends on nothing else."""

    columns: PartColumns
    samples: Sequence[Sample]
    files: PartFiles
    digest: str
    model: Path
    model_checksum: str
    device: Device
    rules: DecodingRules


def encode_elsewhere(work: PartWork) -> tuple[PartSummary, float]:
    """Encode a part; return its record, and the seconds that the model ran.

    Raises
    ------
    MissingFile, Mismatch
        The model is not here, or is another one.
    DamagedFile, WriteFailed
        A value does not fit its column; the disk is full.
    """
    encoder = _encoder(work.model, work.device)
    if encoder.model.checksum != work.model_checksum:
        raise Mismatch(f"{work.model} is another model on a node than where the command runs")
    before = encoder.seconds
    with decoder(work.rules, workers=0, threads=encoder.threads) as decoding:
        summary = encode_part(
            work.columns,
            work.samples,
            work.files,
            encoder=encoder,
            decoder=decoding,
            digest=work.digest,
            progress=lambda _done, _total: None,
        )
    return summary, encoder.seconds - before


def with_absolute_places(samples: Sequence[Sample]) -> list[Sample]:
    """Return samples whose files are found from any working folder."""
    return [
        sample
        if sample.place is None
        else replace(
            sample, place=replace(sample.place, path=str(Path(sample.place.path).absolute()))
        )
        for sample in samples
    ]


@functools.lru_cache(maxsize=1)
def _encoder(model: Path, device: Device) -> Encoder:
    """Return the model, loaded once in each process."""
    return Encoder(named_model(model), device=device)
