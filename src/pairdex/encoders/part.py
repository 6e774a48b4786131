"""One part of the encoded pictures: prepared by threads, run through the model, written.

The table of a part is its last file, and carries what the part was made of: a part that is there
can be taken over by a later call instead of being made again.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex import atomic, checksums
from pairdex.encoders.encoder import IMAGE_BATCH, Encoder
from pairdex.encoders.folder import PictureFile, PictureFolder
from pairdex.encoders.pictures import open_picture
from pairdex.encoders.preprocess import preprocess
from pairdex.errors import PairdexError
from pairdex.store.staging import Progress
from pairdex.vectors import npy_header

__all__ = ["Failure", "PartFiles", "PartSummary", "digest_of", "encode_part", "read_summary"]

# Pictures decoded ahead of the model: enough to keep it busy, 40 MB at 224 pixels.
_AHEAD = 2 * IMAGE_BATCH
_KEY = b"pairdex"  # of the table's own metadata


@dataclass(frozen=True)
class Failure:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PartSummary:
    """What a finished part says of itself."""

    digest: str
    rows: int
    without_caption: int
    failures: tuple[Failure, ...]


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


@dataclass
class _Rows:
    """The rows of a part as they grow."""

    pictures: list[PictureFile] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class _Prepared:
    picture: PictureFile
    size: tuple[int, int]
    pixels: NDArray[np.float32]


def encode_part(
    folder: PictureFolder,
    pictures: Sequence[PictureFile],
    files: PartFiles,
    *,
    encoder: Encoder,
    digest: str,
    progress: Progress,
) -> PartSummary:
    """Encode `pictures` and write the files of their part; the unreadable ones are left out.

    Nothing is written if none of them can be read.

    Parameters
    ----------
    progress
        Called with the pictures done and the pictures of this part.
    """
    rows = _encoded(folder, pictures, encoder, progress)
    captions = [picture.caption for picture in rows.pictures]
    missing = sum(not caption for caption in captions)
    summary = PartSummary(digest, len(captions), missing, tuple(rows.failures))
    if not captions:
        return summary
    images = np.concatenate(rows.vectors)
    texts = encoder.encode_captions(captions) if folder.has_captions else None
    _write_vectors(files.image, images)
    if texts is not None:
        _write_vectors(files.text, texts)
    _write_table(files.metadata, _table(folder, rows, images, texts), summary)
    return summary


def digest_of(folder: PictureFolder, pictures: Sequence[PictureFile], encoder: Encoder) -> str:
    """Return a checksum of all that decides a part: model, files as they stand, and captions."""
    entries = []
    for picture in pictures:
        path = folder.root / picture.name
        status = path.stat() if path.is_file() else None
        stamp = (status.st_size, status.st_mtime_ns) if status else None
        entries.append((picture.name, stamp, picture.caption, picture.values))
    content = (encoder.model.checksum, folder.has_captions, folder.columns, entries)
    return checksums.of_bytes(json.dumps(content).encode())


def read_summary(files: PartFiles) -> PartSummary | None:
    """Return what a finished part says of itself; None where there is none, or a foreign one."""
    try:
        said = pq.read_metadata(files.metadata).metadata or {}
        content = json.loads(said[_KEY])
        failures = tuple(Failure(*pair) for pair in content["failures"])
        return PartSummary(content["digest"], content["rows"], content["without_caption"], failures)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None


def _encoded(
    folder: PictureFolder, pictures: Sequence[PictureFile], encoder: Encoder, progress: Progress
) -> _Rows:
    rows, batch, done = _Rows(), list[_Prepared](), 0
    for outcome in _prepared(folder.root, pictures, encoder):
        done += 1
        if isinstance(outcome, Failure):
            rows.failures.append(outcome)
        else:
            batch.append(outcome)
        if len(batch) == IMAGE_BATCH or (batch and done == len(pictures)):
            rows.vectors.append(encoder.encode_pixels(np.stack([one.pixels for one in batch])))
            rows.pictures += [one.picture for one in batch]
            rows.sizes += [one.size for one in batch]
            batch = []
            progress(done, len(pictures))
    progress(done, len(pictures))
    return rows


def _prepared(
    root: Path, pictures: Sequence[PictureFile], encoder: Encoder
) -> Iterator[_Prepared | Failure]:
    """Yield the model's input for each picture in order, a bounded number made ahead."""

    def prepare(picture: PictureFile) -> _Prepared | Failure:
        try:
            picture.name.encode()
            image = open_picture(root / picture.name)
            return _Prepared(picture, image.size, preprocess(image, encoder.model.image))
        except UnicodeEncodeError:
            return Failure(picture.name, f"{picture.name!a} is no UTF-8 name; rename the file")
        except PairdexError as error:
            return Failure(picture.name, str(error))

    waiting: deque[Future[_Prepared | Failure]] = deque()
    with ThreadPoolExecutor(encoder.threads) as pool:
        try:
            for picture in pictures:
                waiting.append(pool.submit(prepare, picture))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _table(
    folder: PictureFolder,
    rows: _Rows,
    images: NDArray[np.float32],
    texts: NDArray[np.float32] | None,
) -> pa.Table:
    pictures = rows.pictures
    columns = {
        "image_path": pa.array([one.name for one in pictures], pa.string()),
        "caption": pa.array([one.caption for one in pictures], pa.string()),
        "width": pa.array([width for width, _ in rows.sizes], pa.int32()),
        "height": pa.array([height for _, height in rows.sizes], pa.int32()),
    }
    if texts is not None:
        empty = np.array([not one.caption for one in pictures], bool)
        cosines = np.einsum("ij,ij->i", images.astype(np.float64), texts.astype(np.float64))
        columns["similarity"] = pa.array(cosines, pa.float64(), mask=empty)
    for i, name in enumerate(folder.columns):
        columns[name] = pa.array([one.values[i] for one in pictures], pa.string())
    return pa.table(columns)


def _write_vectors(path: Path, vectors: NDArray[np.float32]) -> None:
    atomic.make_folder(path.parent)
    half = vectors.astype(np.float16)
    with atomic.replacing(path) as file:  # not by np.save, which does not say that the disk is full
        file.write(npy_header(len(half), half.shape[1], half.dtype))
        file.write(half.data)


def _write_table(path: Path, table: pa.Table, summary: PartSummary) -> None:
    said = {
        "digest": summary.digest,
        "rows": summary.rows,
        "without_caption": summary.without_caption,
        "failures": [(failure.name, failure.reason) for failure in summary.failures],
    }
    atomic.make_folder(path.parent)
    with atomic.replacing(path) as file:
        pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(said)}), file)
