"""Verifying a collection: every file is read again and compared with its checksum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pairdex.arguments import StrPath
from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.files import checksums
from pairdex.knn.codes import verify_codes
from pairdex.progress import StepProgress
from pairdex.store.manifest import FileEntry, Manifest, read_manifest
from pairdex.store.removed import REMEDY, REMOVED, read_removed, state_of
from pairdex.store.scores import SCORES, read_score

__all__ = ["Check", "Damage", "VerifyReport", "complaint", "difference", "verify"]

_BUILD_AGAIN = "build the collection again"


@dataclass(frozen=True)
class Damage:
    """A file that is not what it was, how it differs, and what to do."""

    file: str
    reason: str
    remedy: str = _BUILD_AGAIN


@dataclass(frozen=True)
class Check:
    """A file to verify: `difference` reads it and says how it is not what it was, None if it is."""

    file: str
    bytes: int
    difference: Callable[[], str | None]
    remedy: str = _BUILD_AGAIN


@dataclass(frozen=True)
class VerifyReport:
    """What was read again, and what of it is damaged."""

    files: int
    bytes: int
    damaged: list[Damage]


def verify(
    collection: StrPath,
    *,
    derived: Sequence[Check] = (),
    progress: StepProgress | None = None,
) -> VerifyReport:
    """Read all files of a collection again and compare their sizes and checksums.

    Parameters
    ----------
    derived
        Further files, made of the collection's.
    progress
        Called with the bytes done and the bytes in all.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no collection, or the manifest itself is damaged or of a newer format.
    """
    folder = Path(collection)
    manifest = read_manifest(folder)
    checks = [
        Check(file.path, file.bytes, partial(difference, folder, file)) for file in manifest.files()
    ]
    checks += [*_scores(folder), *_tombstones(folder, manifest), *_codes(folder), *derived]
    total = sum(check.bytes for check in checks)
    done, damaged = 0, []
    for check in checks:
        reason = check.difference()
        if reason is not None:
            damaged.append(Damage(check.file, reason, check.remedy))
        done += check.bytes
        if progress:
            progress(done, total)
    return VerifyReport(len(checks), total, damaged)


def difference(folder: Path, file: FileEntry) -> str | None:
    """Read a file again and say how it differs from its entry; None if it does not."""
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


def complaint(read: Callable[[], object]) -> str | None:
    """Return what a function that reads something says of its damage; None if it has nothing to say."""
    try:
        read()
    except (DamagedFile, UnsupportedFormat) as error:
        return str(error)
    return None


def _scores(folder: Path) -> Iterator[Check]:
    """Yield a check of each file of the computed columns, and of each note of them that is damaged."""
    for place in sorted(folder.glob(f"{SCORES}/*/")):
        name = str(place.relative_to(folder))
        remedy = f"delete {name} and run pairdex score again"
        try:
            note = read_score(folder, place.name)
        except (DamagedFile, UnsupportedFormat) as error:
            yield Check(name, 0, partial(str, error), remedy)
            continue
        for part in note.parts if note else ():
            file = FileEntry(part.path, part.bytes, part.checksum)
            yield Check(part.path, part.bytes, partial(difference, folder, file), remedy)


def _tombstones(folder: Path, manifest: Manifest) -> Iterator[Check]:
    if state_of(folder) is not None:
        path = folder / REMOVED
        yield Check(
            REMOVED, path.stat().st_size, partial(_removed_difference, folder, manifest), REMEDY
        )


def _removed_difference(folder: Path, manifest: Manifest) -> str | None:
    try:
        read_removed(folder, manifest)
    except (DamagedFile, UnsupportedFormat, Mismatch) as error:
        return str(error).removeprefix(f"{folder / REMOVED} is damaged: ").partition(";")[0]
    return None


def _codes(folder: Path) -> Iterator[Check]:
    for path in sorted(folder.glob("indexes/*/codes")):
        yield Check(
            str(path.relative_to(folder)),
            path.stat().st_size,
            partial(complaint, partial(verify_codes, path)),
            "delete it: the next search makes it again",
        )
