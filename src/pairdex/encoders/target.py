"""The output folder of parts: checked to be ours, and changed only after all parts are encoded.

Invariant: until then, new files stay in a hidden folder that readers ignore. Then they are moved
into place, and the note `pairdex.json` is written last.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pairdex.encoders.part import PartFiles, PartSummary, read_summary
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.files import atomic, lock
from pairdex.parts.note import NOTE, Note, read_note

__all__ = ["Claim", "claimed", "write_list", "write_note"]

_STAGING = ".encoding"
_FAILED, _NOTES = "failed.tsv", "notes.tsv"
_NOTE_FORMAT = 1


@dataclass(frozen=True)
class Claim:
    """A folder locked for parts of this process, and the note for them."""

    folder: Path
    note: Note

    @property
    def staging(self) -> Path:
        """The folder of new parts until they are published."""
        return self.folder / _STAGING

    def publish(
        self,
        summaries: Sequence[PartSummary],
        *,
        has_captions: bool,
        notes: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Move new files into place, remove obsolete ones, and write the note."""
        kept = {i for i, summary in enumerate(summaries) if summary.rows}
        new = {i for i in kept if self._has_staged(i, summaries[i])}
        if new:
            (self.folder / NOTE).unlink(missing_ok=True)
        for number in sorted(new):
            _move(PartFiles(self.staging, number), PartFiles(self.folder, number), has_captions)
        _remove_others(self.folder / "img_emb", kept)
        _remove_others(self.folder / "text_emb", kept if has_captions else set())
        _remove_others(self.folder / "metadata", kept)
        failures = [failure for summary in summaries for failure in summary.failures]
        reasons = [(failure.name, failure.reason) for failure in failures]
        write_list(self.folder / _FAILED, ("file", "reason"), reasons)
        write_list(self.folder / _NOTES, ("file", "note"), notes)
        write_note(self.folder, self.note)
        shutil.rmtree(self.staging)

    def _has_staged(self, number: int, summary: PartSummary) -> bool:
        """Whether exactly this part exists, not one of an abandoned call."""
        staged = PartFiles(self.staging, number)
        return staged.image.is_file() and read_summary(staged) == summary


@contextmanager
def claimed(folder: Path, note: Note) -> Iterator[Claim]:
    """Yield the folder, locked for this process; remove it again if nothing was written.

    Raises
    ------
    InvalidArgument, Mismatch
        It holds something else, or parts of another model or of other pictures.
    CollectionBusy
        Another process writes to it.
    """
    claim = Claim(folder, note)
    atomic.make_folder(folder)
    with lock.writing(folder):
        _check_ours(claim)
        atomic.make_folder(claim.staging)
        atomic.discard_partials(claim.staging)
        write_note(claim.staging, note)
        try:
            yield claim
        finally:
            _take_back(claim)


def _check_ours(claim: Claim) -> None:
    places = (claim.folder, claim.staging)
    there = next((place for place in places if (place / NOTE).is_file()), None)
    if there is not None:
        _check_same(there, read_note(there), claim.note)
        return
    strangers = sorted(path.name for path in claim.folder.iterdir() if path != claim.staging)
    if strangers:
        raise InvalidArgument(
            f"{claim.folder} is not empty and was not made by encoding (it holds {strangers[0]}); "
            "name a new folder",
            field="parts",
        )


def _take_back(claim: Claim) -> None:
    """Remove folders without anything to resume from."""
    if not (claim.staging / "img_emb").is_dir():
        shutil.rmtree(claim.staging, ignore_errors=True)
    with suppress(OSError):
        claim.folder.rmdir()  # only an empty folder can be removed


def _check_same(place: Path, old: Note, new: Note) -> None:
    if not isinstance(old.model, dict) or not {"name", "checksum"} <= old.model.keys():
        raise DamagedFile(f"{place / NOTE} names no model; name a new folder")
    if old.model["checksum"] != new.model["checksum"]:
        raise Mismatch(
            f"{place} holds parts of the model {old.model['name']} ({old.model['checksum'][:12]}), "
            f"asked for is {new.model['name']} ({new.model['checksum'][:12]}); name a new folder"
        )
    if old.orientation != new.orientation:
        raise Mismatch(
            f"{place} holds parts of pictures taken {old.orientation}, asked for is "
            f"{new.orientation}; name a new folder"
        )
    if (old.pictures, old.source) != (new.pictures, new.source):
        before, now = ("/".join(filter(None, [one.pictures, one.source])) for one in (old, new))
        raise Mismatch(
            f"{place} holds parts of the pictures in {before}, asked for are those in {now}; "
            "name a new folder"
        )


def _move(old: PartFiles, new: PartFiles, has_captions: bool) -> None:
    new.metadata.unlink(missing_ok=True)  # a part without its table is never read
    names = ("image", "text", "metadata") if has_captions else ("image", "metadata")
    for name in names:
        source, place = getattr(old, name), getattr(new, name)
        atomic.make_folder(place.parent)
        source.replace(place)
        atomic.sync_folder(place.parent)


def _remove_others(folder: Path, kept: set[int]) -> None:
    for path in folder.glob(f"{folder.name}_*"):
        number = path.stem.rpartition("_")[2]
        if not number.isdecimal() or int(number) not in kept:
            path.unlink()
    if folder.is_dir() and not kept:
        folder.rmdir()


def write_list(path: Path, header: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> None:
    """Write pairs of texts as TSV under a header; write no file without pairs."""
    if not pairs:
        path.unlink(missing_ok=True)
        return
    lines = ["\t".join(" ".join(field.split()) for field in row) for row in (header, *pairs)]
    atomic.write_bytes(path, ("\n".join(lines) + "\n").encode(errors="backslashreplace"))


def write_note(folder: Path, note: Note) -> None:
    """Write the note of a folder of parts."""
    content: dict[str, object] = {
        "format": _NOTE_FORMAT,
        "model": note.model,
        "pictures": note.pictures,
    }
    if note.source is not None:
        content["source"] = note.source
    content["orientation"] = note.orientation
    if note.linked:
        content["linked"] = list(note.linked)
    atomic.write_bytes(folder / NOTE, (json.dumps(content, indent=2) + "\n").encode())
