"""Verify a collection: read and check every file of it and of its derived data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.derived.kinds import KINDS
from pairdex.files.checks import Check
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.manifest import read_manifest
from pairdex.store.own_checks import own_checks

__all__ = ["Damage", "VerifyReport", "verify"]


@dataclass(frozen=True)
class Damage:
    """A damaged file: what is wrong with it, and what to do."""

    file: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class VerifyReport:
    """The number of files and bytes that were checked, and the damaged files."""

    files: int
    bytes: int
    damaged: list[Damage]


@checked
def verify(collection: StrPath, *, progress: Progress | None = None) -> VerifyReport:
    """Read all files of a collection and its derived data, and compare sizes and checksums.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    progress
        Called with the step, the bytes done and the bytes in total.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        `collection` is not a collection, or its manifest is damaged or was written by a newer release.
    """
    folder = Path(collection)
    checks = [*own_checks(folder, read_manifest(folder)), *_derived_checks(folder)]
    total = sum(check.bytes for check in checks)
    meter = Meter(total, at_step(progress, "verifying"))
    damaged = []
    for check in checks:
        reason = check.find_damage()
        if reason is not None:
            damaged.append(Damage(check.file, reason, check.remedy))
        meter.advance(check.bytes)
    return VerifyReport(len(checks), total, damaged)


def _derived_checks(collection: Path) -> Iterator[Check]:
    for kind in KINDS:
        for name in kind.find(collection):
            yield from kind.checks(collection, name)
