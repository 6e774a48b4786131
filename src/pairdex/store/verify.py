"""Verifying a collection: every file is read again and compared with its checksum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pairdex import checksums
from pairdex.codes import verify_codes
from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.store.manifest import FileEntry, Manifest, read_manifest
from pairdex.store.removed import REMEDY, REMOVED, read_removed, state_of
from pairdex.store.scores import SCORES, read_score

__all__ = ["Damage", "VerifyReport", "verify"]


@dataclass(frozen=True)
class Damage:
    """A file that is not what it was, how it differs, and what to do."""

    file: str
    reason: str
    remedy: str = "build the collection again"


@dataclass(frozen=True)
class VerifyReport:
    """What was read again, and what of it is damaged."""

    files: int
    bytes: int
    damaged: list[Damage]


def verify(
    collection: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Read all files of a collection again and compare their sizes and checksums.

    Parameters
    ----------
    progress
        Called with the bytes done and the bytes in all.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no collection, or the manifest itself is damaged or of a newer format.
    """
    folder = Path(collection)
    manifest = read_manifest(folder)
    files = list(manifest.files())
    scores, damaged = _scores(folder)
    damaged += _tombstones(folder, manifest)
    removed = [] if state_of(folder) is None else [folder / REMOVED]
    codes = sorted(folder.glob("indexes/*/codes"))
    total = sum(file.bytes for file in (*files, *scores))
    total += sum(path.stat().st_size for path in (*removed, *codes))
    done = sum(path.stat().st_size for path in removed)
    for file in (*files, *scores):
        reason = _difference(folder, file)
        if reason is not None:
            damaged.append(Damage(file.path, reason, scores.get(file, Damage.remedy)))
        done += file.bytes
        if progress:
            progress(done, total)
    for path in codes:
        try:
            verify_codes(path)
        except (DamagedFile, UnsupportedFormat) as error:
            remedy = "delete it: the next search makes it again"
            damaged.append(Damage(str(path.relative_to(folder)), str(error), remedy))
        done += path.stat().st_size
        if progress:
            progress(done, total)
    return VerifyReport(len(files) + len(scores) + len(removed) + len(codes), total, damaged)


def _scores(folder: Path) -> tuple[dict[FileEntry, str], list[Damage]]:
    """Return the files of computed columns with what to do if they are damaged, and damaged notes."""
    files, damaged = {}, []
    for place in sorted(folder.glob(f"{SCORES}/*/")):
        remedy = f"delete {place.relative_to(folder)} and run pairdex score again"
        try:
            note = read_score(folder, place.name)
        except (DamagedFile, UnsupportedFormat) as error:
            damaged.append(Damage(str(place.relative_to(folder)), str(error), remedy))
            continue
        for part in note.parts if note else ():
            files[FileEntry(part.path, part.bytes, part.checksum)] = remedy
    return files, damaged


def _tombstones(folder: Path, manifest: Manifest) -> list[Damage]:
    try:
        read_removed(folder, manifest)
    except (DamagedFile, UnsupportedFormat, Mismatch) as error:
        reason = str(error).removeprefix(f"{folder / REMOVED} is damaged: ").partition(";")[0]
        return [Damage(REMOVED, reason, REMEDY)]
    return []


def _difference(folder: Path, file: FileEntry) -> str | None:
    path = folder / file.path
    try:
        size = path.stat().st_size
        if size != file.bytes:
            return f"it has {size:,} bytes, expected {file.bytes:,}"
        checksum = checksums.of_file(path)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if checksum != file.checksum:
        return f"its checksum is {checksum}, expected {file.checksum}"
    return None
