"""The samples of one WebDataset tar: members that share a key.

A member's key is its path up to the first dot of its name, the rest its extension: `shop/0012.jpg`,
`shop/0012.txt` and `shop/0012.json` are picture, caption and further values of one sample. Where that
gives no picture, names are cut at their last dot: `22.05.png` and `22.05.txt`. The members of a sample
mostly follow each other, but need not: some tars have all pictures first.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pairdex.encoders.captions import one_line, split_captions
from pairdex.encoders.encodings import decoded
from pairdex.encoders.pictures import SUFFIXES
from pairdex.encoders.sources import Place
from pairdex.files import foreign_json

__all__ = ["TarSample", "tar_samples"]

_MAX_TEXT_BYTES = 16 << 20  # largest caption or JSON object
_APPLE_DOUBLE, _APPLE_FOLDER = "._", "__MACOSX"  # macOS writes one beside every file
_SHOWN = 4  # suffixes in a message


@dataclass
class TarSample:
    """One sample as its tar has it; `problem` says what is wrong with it or, without a key, the tar.

    `note` says what is wrong with a caption, which does not cost the picture.
    """

    key: str
    picture: str = ""  # the member's name
    place: Place | None = None
    caption: str = ""
    values: dict[str, object] = field(default_factory=dict)
    problem: str = ""
    note: str = ""


def tar_samples(path: Path) -> Iterator[TarSample]:
    """Yield the samples of a tar in order; the last has no key if the tar ends before its end.

    Pictures are not read. The sample's `problem` reports what is missing or unreadable.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield from _grouped(tar, path, path.stat().st_size)
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # `tarfile` takes this as the end
                raise tarfile.ReadError(f"bad header at byte {tar.offset:,}")
    except tarfile.ReadError as error:
        yield TarSample("", problem=f"{path} is not a complete tar: {error}; fetch it again")
    except (MemoryError, OverflowError, ValueError):
        problem = (
            f"{path} is not a complete tar: a header claims more than there is; fetch it again"
        )
        yield TarSample("", problem=problem)
    except OSError as error:
        yield TarSample("", problem=f"{path} cannot be read: {error.strerror}; fetch it again")


@dataclass
class _Member:
    """A file in a tar, with its content if it is text."""

    name: str
    offset: int
    size: int
    text: bytes | None
    is_cut: bool


def _grouped(tar: tarfile.TarFile, path: Path, file_bytes: int) -> Iterator[TarSample]:
    """Yield the samples in the order of their first members, also where the tar ends early."""
    groups: dict[tuple[str, int], dict[str, _Member]] = {}
    rounds: dict[str, int] = {}  # how often a key has begun again with an extension it had
    damage: tarfile.ReadError | None = None
    try:
        for entry in tar:
            if entry.isfile() and not _is_apple_double(entry.name):
                member = _member(tar, entry, file_bytes)
                key, extension = _split(member.name)
                if extension in groups.get((key, rounds.get(key, 0)), {}):
                    rounds[key] = rounds.get(key, 0) + 1
                groups.setdefault((key, rounds.get(key, 0)), {})[extension] = member
    except tarfile.ReadError as error:
        damage = error
    for (key, _), members in groups.items():
        for inner, kept in _regrouped(key, members):
            yield _sample(inner, kept, path)
    if damage is not None:
        raise damage


def _is_apple_double(name: str) -> bool:
    *folders, base = name.split("/")
    return base.startswith(_APPLE_DOUBLE) or _APPLE_FOLDER in folders


def _member(tar: tarfile.TarFile, entry: tarfile.TarInfo, file_bytes: int) -> _Member:
    is_cut = entry.offset_data + entry.size > file_bytes
    text = None
    if entry.name.lower().endswith((".txt", ".json")) and entry.size <= _MAX_TEXT_BYTES:
        file = tar.extractfile(entry)
        assert file is not None, "it is a file"
        text = file.read()
    return _Member(entry.name, entry.offset_data, entry.size, text, is_cut)


def _split(name: str) -> tuple[str, str]:
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", f".{extension.lower()}"


def _regrouped(key: str, members: dict[str, _Member]) -> list[tuple[str, dict[str, _Member]]]:
    """Return the members as one sample or, where that has no picture, as those that last dots make."""
    suffixes = [extension.rpartition(".")[2] for extension in members]
    if any(extension in SUFFIXES for extension in members) or not any(
        f".{suffix}" in SUFFIXES for suffix in suffixes
    ):
        return [(key, members)]
    groups: dict[str, dict[str, _Member]] = {}
    for extension, member in members.items():
        inner, _, suffix = extension.rpartition(".")
        groups.setdefault(key + inner, {})[f".{suffix}"] = member
    return list(groups.items())


def _sample(key: str, members: dict[str, _Member], path: Path) -> TarSample:
    sample = TarSample(key)
    for extension, member in members.items():
        if extension in SUFFIXES and sample.place is None:
            sample.picture = member.name
            sample.place = Place(str(path), member.offset, member.size)
        if member.is_cut:
            sample.problem = f"{member.name} is cut off at the end of {path}; fetch it again"
    notes = [_take_caption(sample, members[ext]) for ext in (".txt",) if ext in members]
    notes += [_take_json(sample, members[ext]) for ext in (".json",) if ext in members]
    sample.note = "; ".join(note for note in notes if note)
    if sample.place is None and not sample.problem:
        sample.problem = _without_picture(list(members))
    return sample


def _take_caption(sample: TarSample, member: _Member) -> str:
    """Set the caption; return its problem, if any."""
    if member.text is None:
        return f"{member.name} has {member.size:,} bytes: it is not a caption"
    text, encoding = decoded(member.text)
    sample.caption = one_line(text)
    return f"{member.name} was read as {encoding}" if encoding else ""


def _take_json(sample: TarSample, member: _Member) -> str:
    """Set the further values; return their problem, if any."""
    try:
        content = foreign_json.parse(member.text or b"")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return f"{member.name} is not a JSON object"
    said = split_captions(content.pop("caption", None))
    sample.caption = sample.caption or one_line(next(iter(said), ""))
    sample.values = {k: v for k, v in content.items() if k not in ("width", "height")}
    return ""


def _without_picture(extensions: Sequence[str]) -> str:
    shown = ", ".join(extensions[:_SHOWN])
    known = ", ".join(sorted(SUFFIXES))
    is_strange = any(one not in (".txt", ".json") for one in extensions)
    if not is_strange:
        return "the sample has no picture"
    return f"the sample has no picture: its members end in {shown}; known are {known}"
