"""From pictures to parts in the layout of clip-retrieval; resumed by the same call."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.encoders.decoding import DecodingRules, decoder
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device, Encoder
from pairdex.encoders.first_use import named_model
from pairdex.encoders.open_source import named_in, open_source
from pairdex.encoders.part import (
    PartFiles,
    PartSummary,
    digest_of,
    encode_part,
    read_summary,
)
from pairdex.encoders.part_work import (
    PartColumns,
    PartWork,
    encode_elsewhere,
    with_absolute_places,
)
from pairdex.encoders.pictures import Orientation
from pairdex.encoders.sources import Source
from pairdex.encoders.target import Claim, claimed
from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.parts.note import Note
from pairdex.progress import Meter, Progress, StepProgress, at_step
from pairdex.wording import counted
from pairdex.work.executors import executor_for

__all__ = ["PART_ROWS", "EncodeReport", "encode"]

# Pictures a part. It bounds the memory (100 MB of vectors of 768 dimensions) and what a kill loses:
# eight minutes of ViT-B/32 on two cores.
PART_ROWS = 20_000
_TASK_BYTES = 3 << 30  # of a part on a cluster: the model, pictures that wait for it, vectors


@dataclass(frozen=True)
class EncodeReport:
    """What was encoded: `rows` pictures, without the `failed` ones that `failed.tsv` lists.

    `noted` files are listed in `notes.tsv`: captions of other encodings, links that were not followed.
    `model_seconds` of the `seconds` were spent in loading and running the model. `knows` says what a
    model knows that does not know everything.
    """

    rows: int
    failed: int
    noted: int
    without_caption: int
    parts: int
    model: str
    dim: int
    precision: str
    orientation: Orientation
    seconds: float
    model_seconds: float
    knows: str


@checked
def encode(
    images: StrPath | Sequence[StrPath],
    parts: StrPath,
    *,
    model: StrPath,
    device: Device = DEFAULT_DEVICE,
    as_stored: bool = False,
    exif: bool = True,
    part_rows: int = PART_ROWS,
    workers: int = 0,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> EncodeReport:
    """Encode pictures, and their captions, into a folder of parts.

    Pictures that cannot be read are left out and listed in `failed.tsv`. The same call goes on where
    a killed one stopped, and later encodes only what has changed.

    Parameters
    ----------
    images
        A folder of pictures (captions from a table in it, or from a `.txt` or `.json` beside each);
        a folder of WebDataset tars, or tars (with img2dataset's tables beside them, or without); a
        table of paths and captions (Parquet, CSV, TSV or JSON lines); Parquet tables, or a folder of
        them, that hold the pictures. Patterns like `{000..099}.tar` and `*.tar` stand for several.
    model
        The name or folder of the model.
    as_stored
        Take pictures as they are stored, as OpenAI's code does; otherwise EXIF turns them upright.
    exif
        Whether folders of pictures get the columns taken, camera, latitude, longitude and folder.
    part_rows
        Pictures a part, at least 1.
    workers
        Processes that decode pictures; 0 decodes in threads of this one. More than 0 needs the usual
        `if __name__ == "__main__":` in the calling program.
    cluster
        The address of a Ray cluster (host:port) whose nodes encode the parts, or `auto`. All nodes must see
        the pictures, the model and the folder of parts. They run the model on processors.
    progress
        Called with the pictures done and the pictures in all.
    parts
        The folder of the parts, new or existing.
    device
        Where the model runs: auto, cpu or cuda.

    Raises
    ------
    PairdexError
        No pictures, none that can be read, captions that cannot be read, no such model, a target
        that holds something else, a full disk.
    """
    started = time.perf_counter()
    if part_rows < 1:
        raise InvalidArgument(f"part_rows is {part_rows}, expected at least 1", field="part_rows")
    if workers < 0:
        raise InvalidArgument(f"workers is {workers}, expected at least 0", field="workers")
    if cluster is not None and workers:
        raise InvalidArgument(
            "nodes of a cluster decode in threads; leave out workers", field="workers"
        )
    encoder = Encoder(named_model(model), device=device)
    source = open_source(images, exif=exif)
    orientation: Orientation = "as stored" if as_stored else "upright"
    note = Note(
        encoder.model.record(),
        str(source.root.resolve()),
        named_in(images),
        orientation,
        tuple(source.linked),
    )
    target, step = Path(parts), at_step(progress, "encoding")
    with claimed(target if cluster is None else target.resolve(), note) as claim:
        if cluster is None:
            summaries = _encode_parts(
                source, claim, encoder, part_rows=part_rows, workers=workers, progress=step
            )
        else:
            summaries = _encode_on_cluster(
                cluster, source, claim, encoder, device, part_rows=part_rows, progress=step
            )
        noted = _publish(claim, summaries, source, images)
    return _report(
        encoder,
        summaries,
        noted=noted,
        orientation=orientation,
        seconds=time.perf_counter() - started,
    )


def _publish(
    claim: Claim,
    summaries: Sequence[PartSummary],
    source: Source,
    images: StrPath | Sequence[StrPath],
) -> int:
    """Publish the encoded parts and return the number of notes about the source's files.

    Raises
    ------
    DamagedFile
        None of the pictures can be read.
    """
    if not any(summary.rows for summary in summaries):
        failures = [failure for summary in summaries for failure in summary.failures]
        raise DamagedFile(
            f"of {counted(len(failures), 'picture')} in {_shown(images)}, none can be read; "
            f"the first: {failures[0].reason}"
        )
    notes = [*source.notes, *(note for summary in summaries for note in summary.notes)]
    claim.publish(summaries, has_captions=source.has_captions, notes=notes)
    return len(notes)


def _report(
    encoder: Encoder,
    summaries: Sequence[PartSummary],
    *,
    noted: int,
    orientation: Orientation,
    seconds: float,
) -> EncodeReport:
    return EncodeReport(
        rows=sum(summary.rows for summary in summaries),
        failed=sum(len(summary.failures) for summary in summaries),
        noted=noted,
        without_caption=sum(summary.without_caption for summary in summaries),
        parts=sum(summary.rows > 0 for summary in summaries),
        model=encoder.model.name,
        dim=encoder.dim,
        precision=encoder.model.precision,
        orientation=orientation,
        seconds=seconds,
        model_seconds=encoder.seconds,
        knows=encoder.model.knows,
    )


def _shown(images: StrPath | Sequence[StrPath]) -> str:
    return str(images) if isinstance(images, (str, os.PathLike)) else ", ".join(map(str, images))


@dataclass(frozen=True)
class _Planned:
    """The samples `start` to `stop` of a part, and its record if it is finished."""

    start: int
    stop: int
    files: PartFiles  # in the staging folder
    digest: str
    found: PartSummary | None


def _planned(
    source: Source, claim: Claim, encoder: Encoder, rules: DecodingRules, part_rows: int
) -> Iterator[_Planned]:
    """Yield every part in order."""
    for number, start in enumerate(range(0, len(source), part_rows)):
        stop = min(start + part_rows, len(source))
        digest = digest_of(source, start, stop, encoder, rules.orientation)
        places = [PartFiles(claim.folder, number), PartFiles(claim.staging, number)]
        known = (found for place in places if (found := _finished(place, digest, source)))
        yield _Planned(start, stop, places[-1], digest, next(known, None))


def _rules(source: Source, claim: Claim, encoder: Encoder) -> DecodingRules:
    return DecodingRules(
        encoder.model.image, claim.note.orientation, hashed="content" in source.facts
    )


def _encode_parts(
    source: Source,
    claim: Claim,
    encoder: Encoder,
    *,
    part_rows: int,
    workers: int,
    progress: StepProgress | None,
) -> Sequence[PartSummary]:
    """Have every part, made now or found finished; new ones lie in the staging folder."""
    summaries, total = [], len(source)
    rules = _rules(source, claim, encoder)
    with decoder(rules, workers=workers, threads=encoder.threads) as decoding:
        for part in _planned(source, claim, encoder, rules, part_rows):

            def report(now: int, _: int, before: int = part.start) -> None:
                if progress is not None:
                    progress(min(before + now, total), total)

            summary = part.found
            if summary is None:
                summary = encode_part(
                    source,
                    source.samples(part.start, part.stop),
                    part.files,
                    encoder=encoder,
                    decoder=decoding,
                    digest=part.digest,
                    progress=report,
                )
            report(part.stop - part.start, total)
            summaries.append(summary)
    return summaries


def _encode_on_cluster(
    cluster: str,
    source: Source,
    claim: Claim,
    encoder: Encoder,
    device: Device,
    *,
    part_rows: int,
    progress: StepProgress | None,
) -> Sequence[PartSummary]:
    """Have every part as `_encode_parts` does, the new ones made by the nodes of a cluster."""
    rules = _rules(source, claim, encoder)
    columns = PartColumns(source.has_captions, tuple(source.facts), source.schema)
    summaries: dict[int, PartSummary] = {}
    left: dict[int, PartWork] = {}
    for number, part in enumerate(_planned(source, claim, encoder, rules, part_rows)):
        if part.found is not None:
            summaries[number] = part.found
            continue
        left[number] = PartWork(
            columns,
            with_absolute_places(source.samples(part.start, part.stop)),
            part.files,
            part.digest,
            encoder.model.folder.resolve(),
            encoder.model.checksum,
            device,
            rules,
        )
    meter = Meter(len(source), progress)
    meter.advance(len(source) - sum(len(work.samples) for work in left.values()))
    numbers, root = list(left), source.root.resolve()
    folders = (root if root.is_dir() else root.parent, claim.staging)
    with executor_for(cluster=cluster if left else None, folders=folders) as executor:
        items = list(left.values())
        for place, (summary, seconds) in executor.each(
            encode_elsewhere, items, memory_bytes=_TASK_BYTES
        ):
            summaries[numbers[place]] = summary
            encoder.seconds += seconds
            meter.advance(len(items[place].samples))
    return [summaries[number] for number in range(len(summaries))]


def _finished(files: PartFiles, digest: str, source: Source) -> PartSummary | None:
    wanted = [files.image, *([files.text] if source.has_captions else [])]
    summary = read_summary(files)
    if summary is None or summary.digest != digest or not all(path.is_file() for path in wanted):
        return None
    return summary
