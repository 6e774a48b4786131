"""Fetch many files of a release at once: select them, check the free space, report the results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from pairdex.arguments import StrPath, checked
from pairdex.downloads.catalogue import Entry, Release, find_release, select
from pairdex.downloads.download import Arrival, Downloader
from pairdex.downloads.listing import list_files
from pairdex.downloads.record import Record
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.downloads.streams import shown
from pairdex.downloads.workers import Meter, Result, side_by_side
from pairdex.errors import FetchFailed, InvalidArgument, WriteFailed
from pairdex.files.atomic import make_folder
from pairdex.parts.numbers import Parts, numbers_of
from pairdex.progress import Progress, StepProgress, at_step

__all__ = [
    "DEFAULT_JOBS",
    "MAX_JOBS",
    "Failure",
    "FetchReport",
    "bring_files",
    "fetch",
    "fetch_files",
]

DEFAULT_JOBS = 4
MAX_JOBS = 64


@dataclass(frozen=True)
class Failure:
    """A file that was not fetched, and the reason."""

    file: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Errors and omissions of the release's page about the fetched files."""

    files: list[str]
    note: str


@dataclass(frozen=True)
class FetchReport:
    """The complete files in the folder, their bytes, and those compared with a checksum.

    This call fetched `fetched` files and received `received` bytes; the other files existed before.
    """

    release: str
    files: int
    bytes: int
    verified: int
    fetched: int
    received: int
    seconds: float
    failed: list[Failure]
    notes: list[Note]
    mirrors: list[str]
    page: str | None

    def complaint(self) -> str:
        """Return one line on the failed files."""
        first = self.failed[0]
        advice = "run the same command again to go on"
        if self.mirrors:
            advice += f", or with --mirror {self.mirrors[0]}"
        elif self.page:
            advice += f"; {self.page} may name another place for --mirror"
        return (
            f"{len(self.failed)} of {self.files + len(self.failed)} files failed; "
            f"{first.file}: {first.reason}; {advice}"
        )


@checked
def fetch(
    release: str,
    folder: StrPath,
    *,
    parts: Parts | None = None,
    files: Iterable[str] = (),
    jobs: int = DEFAULT_JOBS,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Fetch files of a release into a folder and verify them; the same call resumes.

    Parameters
    ----------
    release
        A name from the catalogue, or an address: http(s), file, or any fsspec address.
    folder
        New or existing folder; parts are laid out as `build` expects them.
    parts
        Only parts with these numbers: integers, or text such as `0-9,12`; None for all.
    files
        Only files that match one of these names or glob patterns; empty for all.
    jobs
        Number of files fetched at once; at most 4 from one host.
    mirror
        Address of a folder to fetch the release from instead.
    progress
        Called with the bytes done and the total bytes, as far as known.

    Returns
    -------
    FetchReport
        Files, bytes, and how many were compared with a published checksum.

    Raises
    ------
    FetchFailed
        Some files could not be fetched; all others were.
    WriteFailed
        The disk is full or the folder is not writable.
    InvalidArgument
        The release, part or file does not exist.
    """
    report = fetch_files(
        release,
        Path(folder),
        parts=numbers_of(parts),
        files=list(files),
        jobs=jobs,
        mirror=mirror,
        progress=progress,
    )
    if report.failed:
        raise FetchFailed(report.complaint())
    return report


def fetch_files(
    release: str,
    folder: Path,
    *,
    parts: frozenset[int] | None = None,
    files: Sequence[str] = (),
    jobs: int = DEFAULT_JOBS,
    mirror: str | None = None,
    progress: Progress | None = None,
    retry: Retry | None = None,
) -> FetchReport:
    """Fetch files of a release into a folder; see `pairdex.fetch`.

    A failed file is reported; the others are still fetched.
    """
    if not 1 <= jobs <= MAX_JOBS:
        raise InvalidArgument(f"jobs is {jobs}, expected 1 to {MAX_JOBS}", field="jobs")
    began = time.monotonic()
    with Sources(retry or Retry()) as sources:
        entries, known = _plan(sources, release, parts, files, mirror)
        results = bring_files(
            entries,
            folder,
            sources,
            jobs=jobs,
            release=None if known is None else known.name,
            progress=at_step(progress, "fetching"),
        )
    return _report(release, entries, results, known, time.monotonic() - began)


def bring_files(
    entries: list[Entry],
    folder: Path,
    sources: Sources,
    *,
    jobs: int = DEFAULT_JOBS,
    release: str | None = None,
    progress: StepProgress | None = None,
) -> list[Result]:
    """Bring files into a folder, and return what became of each; the record names the `release`.

    Raises
    ------
    WriteFailed
        The disk is full or the folder is not writable.
    """
    make_folder(folder)
    _check_space(entries, folder)
    meter = Meter(entries, progress)
    downloader = Downloader(
        folder,
        sources.of,
        Record(folder, release),
        sources.hosts,
        sources.retry,
        meter.progress,
        meter.expect,
    )
    return side_by_side(entries, jobs, downloader, meter.stop)


def _plan(
    sources: Sources,
    name: str,
    parts: frozenset[int] | None,
    patterns: Sequence[str],
    mirror: str | None,
) -> tuple[list[Entry], Release | None]:
    """Return the files to fetch, and their release in the catalogue, if any."""
    if _is_address(name):
        if mirror is not None:
            raise InvalidArgument(
                f"{shown(name)} is an address itself; --mirror goes with the name of a release",
                field="mirror",
            )
        source, tries = sources.of(name), sources.tries(name)
        return tries.persist(lambda: list_files(source, name, parts=parts, patterns=patterns)), None
    release = find_release(name)
    entries = select(release, parts=parts, patterns=patterns)
    if mirror is None:
        return entries, release
    if not _is_address(mirror):
        raise InvalidArgument(
            f"the mirror is {mirror!r}, expected an address such as https://host/folder",
            field="mirror",
        )
    return [_mirrored(entry, mirror.rstrip("/")) for entry in entries], release


def _is_address(text: str) -> bool:
    return "://" in text or text.startswith("file:")


def _mirrored(entry: Entry, mirror: str) -> Entry:
    """Return the file at a mirror: at its published path, or else at its local path."""
    known = (url for url in entry.urls if url.startswith(f"{mirror}/"))
    url = next(known, f"{mirror}/{quote(entry.path, safe='/=')}")
    return replace(entry, urls=(url,))


def _check_space(entries: list[Entry], folder: Path) -> None:
    present = 0
    for entry in entries:
        for path in (folder / entry.path, folder / f"{entry.path}.part"):
            with suppress(OSError):
                present += min(path.stat().st_size, entry.expected_bytes)
    needed = sum(entry.expected_bytes for entry in entries) - present
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WriteFailed(
            f"cannot write {folder}: about {needed:,} more bytes are needed, {free:,} are free; "
            "free space, or fetch fewer files"
        )


def _is_from(folder: str, entries: list[Entry]) -> bool:
    return any(entry.urls[0].startswith(f"{folder}/") for entry in entries)


def _report(
    name: str, entries: list[Entry], results: list[Result], known: Release | None, seconds: float
) -> FetchReport:
    arrivals = [result for result in results if isinstance(result, Arrival)]
    failed = {r[0].path: str(r[1]) for r in results if isinstance(r, tuple)}
    concerned: dict[str, list[str]] = {}
    for entry in entries:
        for note in entry.errata if entry.path not in failed else ():
            concerned.setdefault(note, []).append(entry.path)
    return FetchReport(
        release=shown(name),
        files=len(arrivals),
        bytes=sum(arrival.bytes for arrival in arrivals),
        verified=sum(arrival.verified for arrival in arrivals),
        fetched=sum(not arrival.already for arrival in arrivals),
        received=sum(arrival.received for arrival in arrivals),
        seconds=seconds,
        failed=[Failure(e.path, failed[e.path]) for e in entries if e.path in failed],
        notes=[Note(paths, note) for note, paths in concerned.items()],
        mirrors=[m for m in known.mirrors if not _is_from(m, entries)] if known else [],
        page=known.page if known else None,
    )
