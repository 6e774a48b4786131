"""Verify a collection: read and check every file of it and of its derived data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.derived.kinds import KINDS
from pairdex.files.checks import Check
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.manifest import MANIFEST, is_sharded, read_manifest
from pairdex.store.own_checks import own_checks
from pairdex.store.shard_list import read_any_manifest, read_shard_list
from pairdex.work.executors import Advance, do_all, executor_for, seen_alike

__all__ = ["Damage", "VerifyReport", "verify"]

_TASK_BYTES = 1 << 30  # of one file: blocks of it, or a table of words or URLs; the libraries


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
def verify(
    collection: StrPath, *, cluster: str | None = None, progress: Progress | None = None
) -> VerifyReport:
    """Read all files of a collection and its derived data, and compare sizes and checksums.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    cluster
        The address of a Ray cluster (host:port) whose nodes read the files, or `auto`. All nodes must see the
        collection's folder.
    progress
        Called with the step, the bytes done and the bytes in total.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        `collection` is not a collection, or its manifest is damaged or was written by a newer release.
    MissingExtra, ClusterFailed
        Ray is not installed; the cluster cannot be reached, or a node does not see the collection.
    """
    folder = seen_alike(Path(collection), cluster)
    checks = list(_checks(folder))
    sizes = [check.bytes for check in checks]
    meter = Meter(sum(sizes), at_step(progress, "verifying"))
    with executor_for(cluster=cluster, folders=(folder,), witness=folder / MANIFEST) as executor:
        reasons = do_all(
            executor, _verify_one, checks, sizes, meter.advance, memory_bytes=_TASK_BYTES
        )
    damaged = [
        Damage(check.file, reason, check.remedy)
        for check, reason in zip(checks, reasons, strict=True)
        if reason is not None
    ]
    return VerifyReport(len(checks), sum(sizes), damaged)


def _verify_one(check: Check, advance: Advance | None) -> str | None:
    reason = check.find_damage()
    if advance:
        advance(check.bytes)
    return reason


def _checks(folder: Path) -> Iterator[Check]:
    """Yield the checks of a collection, or of all shards of a sharded one."""
    if not is_sharded(folder):
        yield from own_checks(folder, read_manifest(folder))
        yield from _derived_checks(folder)
        return
    read_any_manifest(folder)  # raises unless each shard has the rows that the list says
    for shard in read_shard_list(folder).shards:
        for check in _checks(folder / shard.path):
            yield replace(check, file=f"{shard.path}/{check.file}")


def _derived_checks(collection: Path) -> Iterator[Check]:
    for kind in KINDS:
        for name in kind.find(collection):
            yield from kind.checks(collection, name)
