"""`pairdex releases`: what has been published, and what is known about each file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pairdex
from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, print_lines, print_table
from pairdex.downloads.catalogue import choose
from pairdex.wording import size

if TYPE_CHECKING:
    from pairdex.downloads.catalogue import Entry, Release

EXAMPLES = (
    "pairdex releases",
    "pairdex releases laion400m --files 'metadata_*'",
)

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Name of a release (default: list all releases)."),
]
FilesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="List only files whose present or former name fits GLOB (repeatable; default: all).",
    ),
]


def command(
    name: NameArgument = None, files: FilesOption = None, as_json: JsonOption = False
) -> None:
    """List the known releases, or the files of one release.

    For each file: size, checksum, address, and known errors of its documentation.
    """
    if name is None:
        _show_releases(pairdex.releases(), as_json)
        return
    (release,) = pairdex.releases(name)
    entries = choose(release, files or ())
    if as_json:
        print_json(_facts(release) | {"files": [_file_facts(entry) for entry in entries]})
    elif files and len(entries) == 1:
        _show_file(entries[0])
    else:
        _show_files(release, entries)


def _show_releases(releases: list[Release], as_json: bool) -> None:
    if as_json:
        print_json({"releases": [_facts(r) | {"files": r.files} for r in releases]})
        return
    print_table(
        ["release", "files", "title"],
        [[release.name, f"{release.files:,}", release.title] for release in releases],
        right={"files"},
    )
    sys.stdout.write(
        "\nList the files of a release with: pairdex releases NAME\n"
        "Download them with: pairdex fetch NAME FOLDER\n"
    )


def _show_files(release: Release, entries: list[Entry]) -> None:
    """Print a line a file, in the order of md5sum's lists, so that names can be copied."""
    notes = list(dict.fromkeys(note for entry in entries for note in entry.errata))
    widths = [max(len(_size(e)) for e in entries), max(len(e.md5 or "") for e in entries)]
    sys.stdout.write(f"{release.title}\n{release.about}\n{release.page}\n\n")
    for entry in entries:
        marks = "".join(f" [{i}]" for i, note in enumerate(notes, 1) if note in entry.errata)
        cells = f"{_size(entry):>{widths[0]}}  {entry.md5 or '-':<{widths[1]}}"
        sys.stdout.write(f"{cells}  {_pattern(entry)}  {entry.what}{marks}\n")
    for number, note in enumerate(notes, 1):
        sys.stdout.write(f"\n[{number}] {note}")
    sys.stdout.write("\n" if notes else "")


def _show_file(entry: Entry) -> None:
    facts: dict[str, object] = {"file": _pattern(entry), "what it is": entry.what}
    facts["holds"], facts["size"] = entry.holds or "not known", _size(entry)
    if entry.bytes:
        facts["bytes" if entry.bytes_exact else "bytes of vectors"] = entry.bytes
    facts |= {"md5": entry.md5 or "not published"}
    if entry.sha256:
        facts["sha256"] = entry.sha256
    if entry.formerly:
        facts["formerly"] = ", ".join(entry.formerly)
    for label, texts in (("address", entry.urls), ("note", entry.errata), ("source", entry.source)):
        facts |= {f"{label}{f' {i}' if i > 1 else ''}": t for i, t in enumerate(texts, 1)}
    print_lines(facts)


def _pattern(entry: Entry) -> str:
    """Return the path, of a family with its range: img_emb_{0..409}.npy."""
    if entry.parts is None or entry.parts[0] == entry.parts[1]:
        return entry.path
    first, last = entry.parts
    path = entry.path.replace("{part}", f"{{{first}..{last}}}")
    return path.replace("{part:04d}", f"{{{first:04d}..{last:04d}}}")


def _size(entry: Entry) -> str:
    if entry.size or entry.bytes is None:
        return entry.size or "not known"
    return size(entry.bytes) if entry.bytes_exact else f"about {size(entry.bytes)}"


def _facts(release: Release) -> dict[str, Any]:
    return {
        "release": release.name,
        "title": release.title,
        "about": release.about,
        "page": release.page,
        "model": release.model,
    }


def _file_facts(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "path": entry.path,
        "what": entry.what,
        "holds": entry.holds,
        "size": entry.size,
        "bytes": entry.bytes,
        "bytes_exact": entry.bytes_exact,
        "rows": entry.rows,
        "parts": list(entry.parts) if entry.parts else None,
        "md5": entry.md5,
        "sha256": entry.sha256,
        "url": entry.urls[0],
        "mirrors": list(entry.urls[1:]),
        "formerly": list(entry.formerly),
        "errata": list(entry.errata),
        "source": list(entry.source),
    }
