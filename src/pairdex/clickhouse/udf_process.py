"""The process behind `encode_text` and `encode_image`: reads rows from ClickHouse, writes vectors.

    python -m pairdex.clickhouse.udf_process text|image MODEL [PICTURES]

ClickHouse sends chunks: a line with the number of rows, then the rows in RowBinary (a length and bytes).
Answers go to file descriptor 3, since anything may print to 1: each row becomes a count and float32
numbers, none for a row that cannot be encoded. Formats: ClickHouse's docs, `interfaces/formats/RowBinary`
and `sql-reference/functions/udf`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pairdex.encoders.encoder import IMAGE_BATCH, TEXT_BATCH, Encoder
from pairdex.encoders.model import load_model
from pairdex.encoders.pictures import open_picture
from pairdex.errors import DamagedFile, InvalidArgument, PairdexError

__all__ = ["main", "serve_rows"]

_ANSWERS = 3
_TOLD = 5  # rows of a chunk that are reported: a full stderr pipe would block ClickHouse

Vectors = list["NDArray[np.float32] | None"]
Encode = Callable[[Sequence[bytes]], "tuple[Vectors, list[str]]"]
"""Maps rows to vectors (None for a row that cannot be encoded) and messages about those rows."""


def serve_rows(rows: BinaryIO, answers: BinaryIO, encode: Encode, batch: int) -> None:
    """Answer every chunk of `rows` until the input ends."""
    while head := rows.readline():
        chunk = [_read_string(rows) for _ in range(int(head))]
        said: list[str] = []
        for start in range(0, len(chunk), batch):
            vectors, complaints = encode(chunk[start : start + batch])
            answers.write(b"".join(map(_array, vectors)))
            said += complaints
        answers.flush()  # ClickHouse waits for the whole chunk
        for complaint in said[:_TOLD]:
            sys.stderr.write(f"pairdex: {complaint}\n")
        if len(said) > _TOLD:
            sys.stderr.write(f"pairdex: and {len(said) - _TOLD:,} more rows\n")


def texts_with(encoder: Encoder) -> Encode:
    """Return the function that encodes texts."""

    def encode(rows: Sequence[bytes]) -> tuple[Vectors, list[str]]:
        texts = [_text(row) for row in rows]
        good = [text for text in texts if text is not None]
        encoded = iter(encoder.encode_captions(good)) if good else iter(())
        vectors: Vectors = [None if text is None else next(encoded) for text in texts]
        return vectors, [
            f"{r[:80]!r} is not UTF-8" for r, t in zip(rows, texts, strict=True) if t is None
        ]

    return encode


def pictures_with(encoder: Encoder, folder: Path | None) -> Encode:
    """Return the function that encodes pictures; with `folder`, only pictures in it."""

    def encode(rows: Sequence[bytes]) -> tuple[Vectors, list[str]]:
        opened = [_opened(row, folder) for row in rows]
        good = [picture for picture in opened if not isinstance(picture, PairdexError)]
        encoded = iter(encoder.encode_images(good)) if good else iter(())
        complaints = [str(error) for error in opened if isinstance(error, PairdexError)]
        return [None if isinstance(o, PairdexError) else next(encoded) for o in opened], complaints

    return encode


def main(kind: str, model: str, pictures: str | None = None) -> None:
    """Serve until ClickHouse closes the input; exit with a one-line error if the model is unusable."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is ClickHouse's: it closes the input
    try:
        encoder = Encoder(load_model(model))
        folder = None if pictures is None else Path(pictures).resolve()
        if kind == "text":
            encode, batch = texts_with(encoder), TEXT_BATCH
        else:
            encode, batch = pictures_with(encoder, folder), IMAGE_BATCH
        with os.fdopen(_ANSWERS, "wb") as answers:
            serve_rows(sys.stdin.buffer, answers, encode, batch)
    except PairdexError as error:
        sys.exit(f"pairdex: {error}")
    except BrokenPipeError:  # ClickHouse has gone
        os._exit(0)


def _text(row: bytes) -> str | None:
    try:
        return row.decode()
    except UnicodeDecodeError:
        return None


def _opened(row: bytes, folder: Path | None) -> Image.Image | PairdexError:
    try:
        return open_picture(_picture(row, folder))
    except PairdexError as error:
        return error


def _picture(row: bytes, folder: Path | None) -> Path:
    name = os.fsdecode(row)
    if "\0" in name or not name:
        raise InvalidArgument(f"{name!r} is not the path of a picture", field="path")
    if folder is None:
        return Path(name)
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError) as error:
        raise DamagedFile(f"{name} cannot be read: {error}") from error
    if not path.is_relative_to(folder):
        raise InvalidArgument(f"{name} is outside of {folder}", field="path")
    return path


def _read_string(rows: BinaryIO) -> bytes:
    length = shift = 0
    for byte in iter(lambda: rows.read(1), b""):
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    return rows.read(length)


def _array(vector: NDArray[np.float32] | None) -> bytes:
    if vector is None:
        return b"\0"
    return bytes(_varint(len(vector))) + vector.astype("<f4").tobytes()


def _varint(number: int) -> Iterator[int]:
    while number >= 0x80:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number


if __name__ == "__main__":
    main(*sys.argv[1:])
