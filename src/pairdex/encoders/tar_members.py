"""The samples of one WebDataset tar: members that follow each other and share a key.

A member's key is its path up to the first dot of its name, the rest its extension: `shop/0012.jpg`,
`shop/0012.txt` and `shop/0012.json` are picture, caption and further values of one sample.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pairdex.encoders.pictures import SUFFIXES
from pairdex.encoders.sources import Place

__all__ = ["TarSample", "tar_samples"]

_MAX_TEXT_BYTES = 16 << 20  # of a caption or a JSON object; more is neither


@dataclass
class TarSample:
    """One sample as its tar has it; `problem` says what is wrong with it or, without a key, the tar."""

    key: str
    picture: str = ""  # the member's name
    place: Place | None = None
    caption: str = ""
    values: dict[str, object] = field(default_factory=dict)
    problem: str = ""


def tar_samples(path: Path) -> Iterator[TarSample]:
    """Yield the samples of a tar in order; the last has no key if the tar ends before its end.

    Pictures are not read. What is missing or cannot be read is told by the sample's `problem`.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield from _grouped(tar, path, path.stat().st_size)
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # `tarfile` takes this for the end
                raise tarfile.ReadError(f"bad header at byte {tar.offset:,}")
    except tarfile.ReadError as error:
        yield TarSample("", problem=f"{path} is no whole tar: {error}; fetch it again")
    except OSError as error:
        yield TarSample("", problem=f"{path} cannot be read: {error.strerror}; fetch it again")


def _grouped(tar: tarfile.TarFile, path: Path, file_bytes: int) -> Iterator[TarSample]:
    sample: TarSample | None = None
    try:
        for member in tar:
            if not member.isfile():
                continue
            key, extension = _split(member.name)
            if sample is None or sample.key != key:
                if sample is not None:
                    yield _closed(sample)
                sample = TarSample(key)
            _take(sample, extension, member, tar)
            if member.offset_data + member.size > file_bytes:
                sample.problem = f"{member.name} is cut off at the end of {path}; fetch it again"
    except tarfile.ReadError:
        if sample is not None:
            yield _closed(sample)
        raise
    if sample is not None:
        yield _closed(sample)


def _split(name: str) -> tuple[str, str]:
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", f".{extension.lower()}"


def _take(sample: TarSample, extension: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    if extension in SUFFIXES and sample.place is None:
        sample.picture = member.name
        sample.place = Place(str(tar.name), member.offset_data, member.size)
    elif extension in (".txt", ".json"):
        try:
            _take_text(sample, extension, _read(member, tar))
        except (ValueError, RecursionError):
            expected = "JSON object" if extension == ".json" else "UTF-8 text"
            sample.problem = f"{member.name} is no {expected}"


def _read(member: tarfile.TarInfo, tar: tarfile.TarFile) -> str:
    if member.size > _MAX_TEXT_BYTES:
        raise ValueError(member.size)
    file = tar.extractfile(member)
    assert file is not None, "it is a file"
    return file.read().decode("utf-8-sig")


def _take_text(sample: TarSample, extension: str, text: str) -> None:
    if extension == ".txt":
        sample.caption = " ".join(text.split())
        return
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(text[:20])
    said = content.pop("caption", None)
    if isinstance(said, str) and not sample.caption:
        sample.caption = " ".join(said.split())
    sample.values = {k: v for k, v in content.items() if k not in ("width", "height")}


def _closed(sample: TarSample) -> TarSample:
    if sample.place is None and not sample.problem:
        sample.problem = "the sample has no picture"
    return sample
