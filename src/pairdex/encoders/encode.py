"""From a folder of pictures to parts in the layout of clip-retrieval; resumed by the same call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pairdex.encoders.encoder import DEFAULT_DEVICE, Device, Encoder
from pairdex.encoders.folder import PictureFile, PictureFolder, list_pictures
from pairdex.encoders.model import load_model
from pairdex.encoders.part import (
    PartFiles,
    PartSummary,
    digest_of,
    encode_part,
    read_summary,
)
from pairdex.encoders.target import Claim, claimed
from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.parts.note import Note
from pairdex.store.staging import Progress

__all__ = ["PART_ROWS", "EncodeReport", "encode"]

PART_ROWS = 100_000  # pictures a part: 150 MB of vectors of 768 dimensions, held while it is made


@dataclass(frozen=True)
class EncodeReport:
    """What was encoded: `rows` pictures, without the `failed` ones that `failed.tsv` lists."""

    rows: int
    failed: int
    without_caption: int
    model: str
    dim: int
    seconds: float


def encode(
    images: str | Path,
    parts: str | Path,
    *,
    model: str | Path,
    device: Device = DEFAULT_DEVICE,
    part_rows: int = PART_ROWS,
    progress: Progress | None = None,
) -> EncodeReport:
    """Encode the pictures of a folder, and their captions, into a folder of parts.

    Captions come from `captions.tsv` in the folder, or else from a `.txt` beside each picture, or
    there are none. Pictures that cannot be read are left out and listed in `failed.tsv`. The same
    call goes on where a killed one stopped, and later encodes only what has changed.

    Parameters
    ----------
    model
        The name or folder of the model.
    part_rows
        Pictures a part, at least 1.
    progress
        Called with the pictures done and the pictures in all.

    Raises
    ------
    PairdexError
        No pictures, none that can be read, captions that cannot be read, no such model, a target
        that holds something else, a full disk.
    """
    started = time.perf_counter()
    if part_rows < 1:
        raise InvalidArgument(f"part_rows is {part_rows}, expected at least 1", field="part_rows")
    source, target = Path(images), Path(parts)
    encoder = Encoder(load_model(model), device=device)
    folder = list_pictures(source)
    chunks = [folder.pictures[i : i + part_rows] for i in range(0, len(folder.pictures), part_rows)]
    with claimed(target, Note(encoder.model.record(), str(source.resolve()))) as claim:
        summaries = _encode_chunks(folder, chunks, claim, encoder, progress)
        failures = [failure for summary in summaries for failure in summary.failures]
        rows = sum(summary.rows for summary in summaries)
        if not rows:
            raise DamagedFile(
                f"none of the {len(failures):,} pictures in {source} can be read; "
                f"the first: {failures[0].reason}"
            )
        claim.publish(summaries, has_captions=folder.has_captions)
    return EncodeReport(
        rows=rows,
        failed=len(failures),
        without_caption=sum(summary.without_caption for summary in summaries),
        model=encoder.model.name,
        dim=encoder.dim,
        seconds=time.perf_counter() - started,
    )


def _encode_chunks(
    folder: PictureFolder,
    chunks: Sequence[Sequence[PictureFile]],
    claim: Claim,
    encoder: Encoder,
    progress: Progress | None,
) -> list[PartSummary]:
    """Have every part, made now or found finished; new ones lie in the staging folder."""
    done, total = 0, len(folder.pictures)
    summaries = []
    for number, chunk in enumerate(chunks):

        def report(now: int, _: int, before: int = done) -> None:
            if progress is not None:
                progress(before + now, total)

        digest = digest_of(folder, chunk, encoder)
        places = [PartFiles(claim.folder, number), PartFiles(claim.staging, number)]
        summary = next(
            (found for place in places if (found := _finished(place, digest, folder))), None
        )
        if summary is None:
            summary = encode_part(
                folder, chunk, places[-1], encoder=encoder, digest=digest, progress=report
            )
        done += len(chunk)
        report(0, total, done)
        summaries.append(summary)
    return summaries


def _finished(files: PartFiles, digest: str, folder: PictureFolder) -> PartSummary | None:
    wanted = [files.image, *([files.text] if folder.has_captions else [])]
    summary = read_summary(files)
    if summary is None or summary.digest != digest or not all(path.is_file() for path in wanted):
        return None
    return summary
