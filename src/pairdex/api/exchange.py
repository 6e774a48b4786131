"""What comes in from releases and goes out to other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pairdex.downloads.catalogue import Release, find_release, load_catalogue
from pairdex.downloads.fetch import DEFAULT_JOBS, FetchReport
from pairdex.downloads.fetch import fetch as fetch_files
from pairdex.errors import FetchFailed
from pairdex.exports.folders import ExportReport
from pairdex.exports.formats import ExportOptions, export_collection
from pairdex.exports.names import Config, Format
from pairdex.progress import Progress, at_step
from pairdex.store.store import Kind

__all__ = ["export", "fetch", "releases"]


def releases(name: str | None = None) -> list[Release]:
    """Return the releases of the catalogue, or the one of this name.

    Raises
    ------
    InvalidArgument
        No release is called so; the nearest name is suggested.
    """
    return list(load_catalogue().values()) if name is None else [find_release(name)]


def fetch(
    release: str,
    folder: str | Path,
    *,
    parts: frozenset[int] | None = None,
    files: Sequence[str] = (),
    jobs: int = DEFAULT_JOBS,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Fetch files of a release into a folder, whole and verified; resumed by the same call.

    Parameters
    ----------
    release
        A name of the catalogue, or an address: http(s), file, and what fsspec knows.
    folder
        New or existing; parts lie there as `build` finds them.
    parts
        Only the parts of these numbers; all when None.
    files
        Only files that fit one of these names or glob patterns; all when empty.
    jobs
        How many files are fetched at once, from one host at most 4.
    mirror
        The address of a folder to fetch the release from instead.
    progress
        Called with the bytes that are there and the bytes in all, as far as they are known.

    Returns
    -------
    FetchReport
        Files, bytes, and how many were compared with a published checksum.

    Raises
    ------
    FetchFailed
        Some files could not be fetched; all others have been.
    WriteFailed
        A full disk, or a place that cannot be written.
    InvalidArgument
        No such release, part or file.
    """
    report = fetch_files(
        release,
        Path(folder),
        parts=parts,
        files=files,
        jobs=jobs,
        mirror=mirror,
        progress=progress,
    )
    if report.failed:
        raise FetchFailed(report.complaint())
    return report


def export(
    collection: str | Path,
    dest: str | Path,
    form: Format,
    *,
    config: Config | None = None,
    rows: int | None = None,
    vectors: Sequence[Kind] | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a collection to the folder `dest` in the format of another tool; resumed by the same call.

    Parameters
    ----------
    form
        `sisap` (HDF5 and TSV), `tsv`, `parquet`, `laion` (parts again), `webdataset`, `tfds` or
        `clickhouse` (Parquet and SQL).
    config
        Of `tfds`: `images` (default) or `embeddings`.
    rows
        Of `tfds` and `webdataset`: at most so many rows a file.
    vectors
        Of `parquet`: which vectors to write, all by default.
    progress
        Called with the rows done and the rows in all.

    Returns
    -------
    ExportReport
        Rows and files written, rows left out by reason.

    Raises
    ------
    PairdexError
        The folder is there already; an option that the format does not have; an extra that is not
        installed; a damaged collection; a full disk.
    """
    options = ExportOptions(config, rows, None if vectors is None else tuple(vectors))
    return export_collection(
        Path(collection), Path(dest), form, options, at_step(progress, "writing")
    )
