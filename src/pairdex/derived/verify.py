"""Verifying a collection: every file, its own and those derived from it, is read again and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pairdex.derived.kinds import KINDS
from pairdex.files.checks import Check
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.manifest import read_manifest
from pairdex.store.own_checks import own_checks

__all__ = ["Damage", "VerifyReport", "verify"]


@dataclass(frozen=True)
class Damage:
    """A file that is not what it was, how it differs, and what to do."""

    file: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class VerifyReport:
    """How many files and bytes were read again, and which of the files are damaged."""

    files: int
    bytes: int
    damaged: list[Damage]


def verify(collection: str | os.PathLike[str], *, progress: Progress | None = None) -> VerifyReport:
    """Read all files of a collection again and compare their sizes and checksums.

    Parameters
    ----------
    progress
        Called with the step, the bytes done and the bytes in all.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no collection, or the manifest itself is damaged or of a newer format.
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
