"""List the files below an address outside the catalogue, with the checksums beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote

from pairdex.downloads.catalogue import Entry, no_match
from pairdex.downloads.record import RECORD
from pairdex.downloads.streams import Source, shown, split_url
from pairdex.errors import FetchFailed, InvalidArgument, UnsupportedFormat
from pairdex.files.foreign_names import local_name

__all__ = ["list_files"]

_IS_FILE = re.compile(r"[^/]+\.(?!\d+$)[A-Za-z0-9]{2,8}$")  # the end of an address
_PART = re.compile(r"_(\d+)\.[A-Za-z0-9]+$")
_SUMS = {
    "md5sums": ("md5", 32),
    "md5sums.txt": ("md5", 32),
    "sha256sums": ("sha256", 64),
    "sha256sums.txt": ("sha256", 64),
}
_SUMS_LIMIT_BYTES = 64 << 20


def list_files(
    source: Source, url: str, *, parts: frozenset[int] | None, patterns: Sequence[str]
) -> list[Entry]:
    """Return the files at or below an address that match these parts and names.

    Files named MD5SUMS or SHA256SUMS, in the format of md5sum and sha256sum, give the checksums of
    the files beside them.

    Raises
    ------
    FetchFailed
        The address does not exist, or the server does not list folders.
    InvalidArgument
        No file matches these parts or patterns.
    """
    path = split_url(url).path
    if _IS_FILE.search(path):
        return [_checked(Entry(unquote(path.rpartition("/")[2]), (url,)), url)]
    found = [entry for entry in source.find(url) if not _is_ours(entry.name)]
    if not found:
        raise FetchFailed(f"{shown(url)} holds no files")
    found = [_checked(entry, url) for entry in found]
    return _chosen(_with_sums(source, found), url, parts, patterns)


def _chosen(
    found: list[Entry], url: str, parts: frozenset[int] | None, patterns: Sequence[str]
) -> list[Entry]:
    numbers = {entry.path: _number(entry.name) for entry in found}
    if parts is not None:
        absent = sorted(parts - {number for number in numbers.values() if number is not None})
        if absent or not parts:
            raise InvalidArgument(
                f"{shown(url)} has no part {absent[0] if absent else ''}; its files of parts are named "
                "like img_emb_12.npy",
                field="parts",
            )
        found = [entry for entry in found if numbers[entry.path] in parts]
    for pattern in patterns:
        if not any(entry.is_named(pattern) for entry in found):
            raise no_match(shown(url), pattern, [entry.name for entry in found])
    return [e for e in found if not patterns or any(e.is_named(p) for p in patterns)]


def _with_sums(source: Source, found: list[Entry]) -> list[Entry]:
    by_path = {entry.path: entry for entry in found}
    for entry in found:
        if entry.name.lower() not in _SUMS:
            continue
        algorithm, digits = _SUMS[entry.name.lower()]
        for line in _read(source, entry.urls[0]).splitlines():
            said = re.fullmatch(rf"([0-9A-Fa-f]{{{digits}}}) [ *](?:\./)?(.+)", line)
            if said:
                path = str(PurePosixPath(entry.path).parent / said[2])
                if path in by_path:
                    by_path[path] = _with_sum(by_path[path], algorithm, said[1])
    return list(by_path.values())


def _with_sum(entry: Entry, algorithm: str, digest: str) -> Entry:
    return replace(entry, md5=digest) if algorithm == "md5" else replace(entry, sha256=digest)


def _read(source: Source, url: str) -> str:
    text = bytearray()
    with source.open(url) as stream:
        for chunk in stream.chunks:
            text += chunk
            if len(text) > _SUMS_LIMIT_BYTES:
                raise FetchFailed(f"{shown(url)} is not a list of checksums: it is too long")
    return text.decode("utf-8", "replace")


def _is_ours(name: str) -> bool:
    """Return whether a file is a working file of a fetch into that folder."""
    return name == RECORD or name.endswith((".part", ".part.json"))


def _checked(entry: Entry, url: str) -> Entry:
    """Return a file after checking that its path stays inside the target folder."""
    try:
        local_name(entry.path, shown(url))
    except UnsupportedFormat as error:
        raise FetchFailed(str(error)) from error
    return entry


def _number(name: str) -> int | None:
    said = _PART.search(name)
    return int(said[1]) if said else None
