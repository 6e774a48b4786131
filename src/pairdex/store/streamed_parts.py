"""Parts that lie elsewhere: fetched a few at a time while others are built, and removed again.

At most two windows of parts are on disk, the one that is built and the one that arrives meanwhile. They
lie in a hidden folder beside the collection, so a build that is killed goes on with what had arrived.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.fetch import bring_files
from pairdex.downloads.listing import list_files
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.downloads.streams import shown
from pairdex.errors import FetchFailed, InvalidArgument, MissingFile
from pairdex.parts.note import NOTE
from pairdex.parts.numbers import format_numbers
from pairdex.progress import StepProgress
from pairdex.store.manifest import Manifest

__all__ = ["RemoteParts", "find_remote_parts", "windows"]

_FILE = re.compile(r"(img_emb|text_emb|metadata)_(\d+)\.(?:npy|parquet)")


@dataclass(frozen=True)
class RemoteParts:
    """Numbered parts at an address: the files of each, those of all, and what was left out."""

    url: str
    files: dict[int, list[Entry]]
    common: list[Entry]
    skipped: list[str]

    def without(self, held: Manifest | None, replaced: frozenset[int]) -> RemoteParts:
        """Return the parts that a collection does not hold yet, by the names and sizes of their files."""
        sources = [] if held is None else [part.sources for part in held.parts]
        known = {frozenset((file.path, file.bytes) for file in files) for files in sources}
        left = {
            number: files
            for number, files in self.files.items()
            if number in replaced or frozenset((f.path, f.bytes) for f in files) not in known
        }
        return RemoteParts(self.url, left, self.common, self.skipped)


def find_remote_parts(
    url: str, sources: Sources, *, numbers: frozenset[int] | None, skip_incomplete: bool
) -> RemoteParts:
    """List the numbered parts at an address, with the sizes of their files.

    Raises
    ------
    MissingFile
        Parts lack a file, or there are none of these numbers.
    InvalidArgument
        The address holds parts of another layout.
    FetchFailed
        The address cannot be listed.
    """
    source, tries = sources.of(url), sources.tries(url)
    entries = tries.persist(lambda: list_files(source, url, parts=None, patterns=()))
    files: dict[int, list[Entry]] = {}
    for entry in entries:
        named = _FILE.fullmatch(entry.name)
        if named:
            files.setdefault(int(named[2]), []).append(entry)
    if not files:
        raise InvalidArgument(
            f"{shown(url)} holds no numbered parts (img_emb_0.npy, metadata_0.parquet): other layouts "
            "are built from a folder; fetch it first with pairdex fetch",
            field="source",
        )
    complete, skipped = _complete(files, shown(url), skip_incomplete=skip_incomplete)
    chosen = _chosen(complete, shown(url), numbers)
    if numbers is None and not skip_incomplete:
        _check_gap(sorted(chosen), shown(url))
    sized = {n: [_sized(entry, sources) for entry in chosen[n]] for n in sorted(chosen)}
    return RemoteParts(url, sized, [each for each in entries if each.path == NOTE], skipped)


def _complete(
    files: dict[int, list[Entry]], where: str, *, skip_incomplete: bool
) -> tuple[dict[int, list[Entry]], list[str]]:
    """Return the parts that have a file of each kind, and lines on the others."""
    kinds = {number: {_kind(entry) for entry in each} for number, each in files.items()}
    expected = set().union(*kinds.values()) | {"img_emb"}
    lines = [
        f"part {number} of {where} lacks {', '.join(sorted(expected - kinds[number]))}"
        for number in sorted(files)
        if kinds[number] != expected
    ]
    if lines and not skip_incomplete:
        raise MissingFile(f"{lines[0]}; leave such parts out with --skip-incomplete")
    return {n: each for n, each in files.items() if kinds[n] == expected}, lines


def _kind(entry: Entry) -> str:
    named = _FILE.fullmatch(entry.name)
    assert named is not None, entry.name
    return named[1]


def _chosen(
    files: dict[int, list[Entry]], where: str, numbers: frozenset[int] | None
) -> dict[int, list[Entry]]:
    absent = sorted((numbers or frozenset()) - files.keys())
    if absent or not files:
        has = f"it holds {format_numbers(files)}" if files else "none is complete"
        raise MissingFile(f"{where} holds no complete part {format_numbers(absent)}; {has}")
    return {number: files[number] for number in numbers or files}


def _check_gap(numbers: list[int], where: str) -> None:
    gap = sorted({*range(numbers[0], numbers[-1])} - {*numbers})
    if gap:
        raise MissingFile(
            f"{where} holds the parts {format_numbers(numbers)}, but not {format_numbers(gap)}: name the "
            "parts to build with --parts, or go on without them with --skip-incomplete"
        )


def _sized(entry: Entry, sources: Sources) -> Entry:
    """Return a file with its size; a web server's listing does not state it."""
    if entry.bytes_exact:
        return entry
    url = entry.urls[0]

    def ask() -> int:
        with sources.of(url).open(url) as stream:
            if stream.total is None:
                raise FetchFailed(f"{shown(url)} does not state its size; fetch the parts first")
            return stream.total

    size = sources.tries(url).persist(ask)
    return replace(entry, bytes=size, bytes_exact=True)


@contextmanager
def windows(
    parts: RemoteParts,
    collection: Path,
    *,
    at_once: int,
    retry: Retry | None = None,
    progress: StepProgress | None = None,
) -> Iterator[Iterator[tuple[Path, frozenset[int]]]]:
    """Give an iterator over a folder with some whole parts, and their numbers; the next ones arrive meanwhile.

    The files of a window are removed when the next one is asked for. If the block fails, what has arrived
    stays for the next call.

    Parameters
    ----------
    at_once
        Parts in one window.
    """
    folder = collection.with_name(f".{collection.name}.parts")
    numbers = list(parts.files)
    groups = [numbers[first : first + at_once] for first in range(0, len(numbers), at_once)]
    stop = threading.Event()
    with Sources(retry or Retry()) as sources:
        try:
            arriving = _Arriving(parts, folder, sources, stop, progress)
            yield _windows(parts, folder, groups, arriving)
        finally:
            stop.set()
    shutil.rmtree(folder, ignore_errors=True)


def _windows(
    parts: RemoteParts, folder: Path, groups: Sequence[list[int]], arriving: _Arriving
) -> Iterator[tuple[Path, frozenset[int]]]:
    if not groups:
        return
    arriving.start(groups[0])
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        arriving.wait()
        if following is not None:
            arriving.start(following)
        yield folder, frozenset(group)
        for entry in (each for number in group for each in parts.files[number]):
            (folder / entry.path).unlink(missing_ok=True)


class _Ended(BaseException):
    """The build has ended, so what is arriving is not needed."""


class _Arriving:
    """The window that arrives, in a thread that a Ctrl-C does not wait for."""

    def __init__(
        self,
        parts: RemoteParts,
        folder: Path,
        sources: Sources,
        stop: threading.Event,
        progress: StepProgress | None,
    ) -> None:
        self._parts, self._folder, self._sources = parts, folder, sources
        self._stop, self._progress = stop, progress
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, numbers: list[int]) -> None:
        """Begin to fetch these parts."""
        self._thread = threading.Thread(target=self._fetch, args=(numbers,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when they are there; raise what kept them from arriving."""
        assert self._thread is not None
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _fetch(self, numbers: list[int]) -> None:
        files = [entry for number in numbers for entry in self._parts.files[number]]
        try:
            results = bring_files(
                [*self._parts.common, *files], self._folder, self._sources, progress=self._advance
            )
            for result in results:
                if isinstance(result, tuple):
                    raise FetchFailed(
                        f"{shown(self._parts.url)}: {result[0].path}: {result[1]}; run the same command "
                        "again to go on"
                    )
        except BaseException as error:  # noqa: BLE001 - raised by `wait`, in the caller's thread
            self._error = error

    def _advance(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _Ended
        if self._progress is not None:
            self._progress(done, total)
