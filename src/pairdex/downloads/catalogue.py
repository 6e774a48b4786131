"""The catalogue of releases: every published file with its size, checksum, address, source and errata.

The data are in `catalogue.json`: one entry per file or family of numbered files, with its source
pages. This module gives them names and types.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files as package_files
from typing import Any

from pairdex.arguments import checked
from pairdex.errors import InvalidArgument

__all__ = [
    "Entry",
    "Release",
    "choose",
    "find_release",
    "load_catalogue",
    "nearest",
    "no_match",
    "releases",
    "select",
]

_NPY_HEADER_BYTES = 128  # bytes of the header of every .npy file of LAION
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_LIKE = 0.5  # smallest similarity of a suggested name


@dataclass(frozen=True)
class Entry:
    """One published file, or with `parts` a family of numbered files.

    Attributes
    ----------
    path
        Path below the release's folder; `{part}` stands for the part's number.
    urls
        Its addresses, the published one first.
    what, holds
        A description, and the arrays or columns in it.
    size
        As its page states it: K, M and G are powers of 1024, rounded up.
    bytes
        Bytes of the vectors, if rows and dimension are known; of the whole file with `bytes_exact`.
    rows
        Number of rows; for a family, of a typical part.
    parts
        First and last part number.
    md5, sha256, xxh3
        Checksums, where they are published; xxh3 is that of 128 bits, of a published collection.
    formerly
        Names of the same file on older pages.
    errata
        Errors and omissions of its page.
    source
        The pages that state these facts.
    """

    path: str
    urls: tuple[str, ...]
    what: str = ""
    holds: str | None = None
    size: str | None = None
    bytes: int | None = None
    bytes_exact: bool = False
    rows: int | None = None
    parts: tuple[int, int] | None = None
    part_rows: tuple[tuple[int, int], ...] = ()
    row_bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    xxh3: str | None = None
    formerly: tuple[str, ...] = ()
    errata: tuple[str, ...] = ()
    source: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]

    def is_named(self, pattern: str) -> bool:
        """Return whether a glob pattern matches its name, path or a former name."""
        names = (self.name, self.path, *self.formerly)
        return any(fnmatchcase(name, pattern) for name in names)

    @property
    def expected_bytes(self) -> int:
        """Expected size in bytes; 0 if unknown."""
        if self.bytes is not None:
            return self.bytes
        return round(_page_size(self.size)[0]) if self.size else 0

    def may_have(self, total: int) -> bool:
        """Return whether a file of `total` bytes agrees with its exact size, or the one on its page."""
        if self.size is None:
            return total == self.bytes or not self.bytes_exact
        bytes_, step = _page_size(self.size)
        return bytes_ - 2 * step < total < bytes_ + step

    def part(self, number: int) -> Entry:
        """Return the file of one part."""
        odd = dict(self.part_rows).get(number)
        rows = odd or self.rows
        return replace(
            self,
            path=self.path.format(part=number),
            urls=tuple(url.format(part=number) for url in self.urls),
            what=self.what.format(part=number),
            rows=rows,
            bytes=_vector_bytes(self.path, rows, self.row_bytes),
            bytes_exact=odd is not None and self.row_bytes is not None,
            parts=(number, number),
            part_rows=(),
        )


@dataclass(frozen=True)
class Release:
    """A set of files published together; `page` is its web page, `about` a summary.

    `model` is the name of the CLIP model that made its vectors; None for other models.
    """

    name: str
    title: str
    page: str
    about: str
    model: str | None
    entries: tuple[Entry, ...]

    @property
    def mirrors(self) -> list[str]:
        """Folders of its alternative addresses, in the form that `--mirror` takes."""
        others = zip(*(entry.urls[1:] for entry in self.entries), strict=False)
        # A common prefix may end inside a name, so cut it at its last slash.
        return [os.path.commonprefix(urls).rpartition("/")[0] for urls in others]  # noqa: RUF071

    @property
    def files(self) -> int:
        """Number of files."""
        return sum(e.parts[1] - e.parts[0] + 1 if e.parts else 1 for e in self.entries)


@cache
def load_catalogue() -> dict[str, Release]:
    """Return all releases by name."""
    text = (package_files("pairdex.downloads") / "catalogue.json").read_text("utf-8")
    content = json.loads(text)
    entries: dict[str, list[Entry]] = {name: [] for name in content["releases"]}
    for row in content["files"]:
        entries[row["release"]].append(_entry(row, content["sources"], content["errata"]))
    return {
        name: Release(name=name, entries=tuple(entries[name]), **facts)
        for name, facts in content["releases"].items()
    }


@checked
def releases(name: str | None = None) -> list[Release]:
    """Return the releases of the catalogue, or the one with this name.

    Parameters
    ----------
    name
        Name of a release; None for all.

    Raises
    ------
    InvalidArgument
        No release has this name; the message suggests the nearest.
    """
    return list(load_catalogue().values()) if name is None else [find_release(name)]


def find_release(name: str) -> Release:
    """Return the release with this name; case, hyphens and underscores do not matter.

    Raises
    ------
    InvalidArgument
        No release has this name; the message suggests the nearest.
    """
    releases = load_catalogue()
    for release in releases.values():
        if _plain(release.name) == _plain(name):
            return release
    raise InvalidArgument(
        f"no release is called {name!r}{nearest(name, releases)}; "
        f"there are {', '.join(releases)}, and addresses (http://, https://, file:, s3://, hf://)",
        field="release",
    )


def select(
    release: Release,
    *,
    parts: frozenset[int] | None = None,
    patterns: Sequence[str] = (),
) -> list[Entry]:
    """Return the single files of a release that match these parts and one of these patterns.

    Raises
    ------
    InvalidArgument
        The release does not have this part, or has no parts; or a pattern matches no file.
    """
    if parts is not None:
        _check_parts(release, parts)
    files = [file for entry in release.entries for file in _single(entry, parts)]
    if not patterns:
        return files
    for pattern in patterns:
        if not any(file.is_named(pattern) for file in files):
            raise no_match(release.name, pattern, [name for f in files for name in _names(f)])
    return [file for file in files if any(file.is_named(pattern) for pattern in patterns)]


def choose(release: Release, patterns: Sequence[str] = ()) -> list[Entry]:
    """Return the entries of a release that match one of these patterns; all without patterns.

    A pattern that matches the path of a family, such as `img_emb_{part}.npy`, selects the family as
    one entry.

    Raises
    ------
    InvalidArgument
        A pattern matches no file.
    """
    if not patterns:
        return list(release.entries)
    chosen: dict[str, Entry] = {}
    for pattern in patterns:
        families = [entry for entry in release.entries if entry.is_named(pattern)]
        for entry in families or select(release, patterns=[pattern]):
            chosen[entry.path] = entry
    return list(chosen.values())


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a suggestion to append to a message; empty if no name is similar."""
    plain = {_plain(each): each for each in names}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=_LIKE)
    return f", did you mean {plain[found[0]]}?" if found else ""


def no_match(where: str, pattern: str, names: Iterable[str]) -> InvalidArgument:
    """Return the error for a pattern that matches no file."""
    return InvalidArgument(
        f"no file of {where} is called {pattern!r}{nearest(pattern, names)}; "
        "expected a name or a pattern such as '*.h5'",
        field="files",
    )


def _check_parts(release: Release, parts: frozenset[int]) -> None:
    ranges = [entry.parts for entry in release.entries if entry.parts]
    if not ranges:
        raise InvalidArgument(
            f"{release.name} has no numbered parts; choose its files with --files", field="parts"
        )
    first, last = ranges[0]
    absent = sorted(part for part in parts if not first <= part <= last)
    if absent or not parts:
        wrong = f"no part {absent[0]:,}" if absent else "to give at least one part"
        raise InvalidArgument(
            f"{release.name} has {wrong}; it has the parts {first} to {last}", field="parts"
        )


def _single(entry: Entry, parts: frozenset[int] | None) -> Iterator[Entry]:
    if entry.parts is None:
        if parts is None:
            yield entry
        return
    first, last = entry.parts
    for number in range(first, last + 1) if parts is None else sorted(parts):
        yield entry.part(number)


def _names(entry: Entry) -> tuple[str, ...]:
    return (entry.name, *entry.formerly)


def _page_size(text: str) -> tuple[float, float]:
    """Return the bytes of a size such as 3.7G, and those of one unit of its last digit."""
    unit = _UNITS[text[-1]]
    return float(text[:-1]) * unit, unit * (0.1 if "." in text else 1.0)


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _entry(row: dict[str, Any], sources: dict[str, str], errata: dict[str, str]) -> Entry:
    exact = row.get("bytes")
    rows, row_bytes = row.get("rows"), row.get("row_bytes")
    return Entry(
        path=row["path"],
        urls=tuple(row["urls"]),
        what=row["what"],
        holds=row.get("holds"),
        size=row.get("size"),
        bytes=exact or _vector_bytes(row["path"], rows, row_bytes),
        bytes_exact=exact is not None,
        rows=rows,
        parts=tuple(row["parts"]) if "parts" in row else None,
        part_rows=tuple((int(n), count) for n, count in row.get("part_rows", {}).items()),
        row_bytes=row_bytes,
        md5=row.get("md5"),
        sha256=row.get("sha256"),
        formerly=tuple(row.get("formerly", ())),
        errata=tuple(errata[key] for key in row.get("errata", ())),
        source=tuple(sources[key] for key in row["source"]),
    )


def _vector_bytes(path: str, rows: int | None, row_bytes: int | None) -> int | None:
    if rows is None or row_bytes is None:
        return None
    return rows * row_bytes + (_NPY_HEADER_BYTES if path.endswith(".npy") else 0)
