"""The export formats, and the options of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument
from pairdex.exports.clickhouse import export_clickhouse
from pairdex.exports.folders import ExportReport
from pairdex.exports.laion import export_laion
from pairdex.exports.names import Config, Format
from pairdex.exports.parquet import export_parquet
from pairdex.exports.sisap import export_sisap
from pairdex.exports.tfds import export_tfds
from pairdex.exports.tsv import export_tsv
from pairdex.exports.webdataset import DEFAULT_TAR_ROWS, export_webdataset
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.sharded import open_store
from pairdex.store.store import VectorField

__all__ = ["ExportOptions", "export", "export_collection"]

# The options of each format; other options are errors.
_KNOWN: dict[Format, frozenset[str]] = {
    "sisap": frozenset(),
    "tsv": frozenset(),
    "parquet": frozenset({"vectors"}),
    "laion": frozenset(),
    "webdataset": frozenset({"rows"}),
    "tfds": frozenset({"rows", "config"}),
    "clickhouse": frozenset(),
}


# The formats without options.
_PLAIN: dict[Format, Callable[..., ExportReport]] = {
    "sisap": export_sisap,
    "tsv": export_tsv,
    "laion": export_laion,
    "clickhouse": export_clickhouse,
}


@checked
def export(
    collection: StrPath,
    dest: StrPath,
    form: Format,
    *,
    config: Config | None = None,
    rows: int | None = None,
    vectors: Iterable[VectorField] | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a collection to the folder `dest` in the format of another tool.

    If a call is interrupted, the same call resumes it. A finished export stays as it is: the same call
    returns its report.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    form
        `sisap` (HDF5 and TSV), `tsv`, `parquet`, `laion` (parts again), `webdataset`, `tfds` or
        `clickhouse` (Parquet and SQL).
    config
        `tfds` only: `images` (default) or `embeddings`.
    rows
        `tfds` and `webdataset` only: the maximum number of rows per file.
    vectors
        `parquet` only: the kinds of vectors to write. Default: all.
    progress
        Called with the step, the rows done and the rows in total.

    Returns
    -------
    ExportReport
        The number of rows and files written, and the rows left out, by reason.

    Raises
    ------
    PairdexError
        `dest` exists and is not this export, the format does not have an option, an extra is not installed, the collection is
        damaged, or the disk is full.
    """
    options = ExportOptions(config, rows, None if vectors is None else tuple(vectors))
    return export_collection(
        Path(collection), Path(dest), form, options, at_step(progress, "writing")
    )


@dataclass(frozen=True)
class ExportOptions:
    """Options that only some formats have; None means the default of the format.

    `config` is the TFDS configuration, `rows` the maximum number of rows per file, `vectors` the kinds of
    vectors to write.
    """

    config: Config | None = None
    rows: int | None = None
    vectors: tuple[VectorField, ...] | None = None


def export_collection(
    collection: Path,
    target: Path,
    form: Format,
    options: ExportOptions,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Export a collection to the folder `target` in the given format.

    Raises
    ------
    InvalidArgument
        The format does not exist, or does not have an option.
    PairdexError
        The export failed; see the format's module.
    """
    _check(form, options)
    if form == "tfds":
        config = options.config or "images"
        return export_tfds(
            collection, target, config=config, shard_rows=options.rows, progress=progress
        )
    store = open_store(collection)
    if form == "parquet":
        return export_parquet(store, target, vectors=options.vectors, progress=progress)
    if form == "webdataset":
        rows = DEFAULT_TAR_ROWS if options.rows is None else options.rows
        return export_webdataset(store, target, tar_rows=rows, progress=progress)
    return _PLAIN[form](store, target, progress=progress)


def _check(form: Format, options: ExportOptions) -> None:
    if form not in get_args(Format):
        raise InvalidArgument(
            f"the format is {form!r}, expected one of {', '.join(get_args(Format))}", field="format"
        )
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in _KNOWN[form]:
            supporting = [name for name, known in _KNOWN.items() if field.name in known]
            raise InvalidArgument(
                f"the format {form} has no option {field.name}; formats with it: {', '.join(supporting)}",
                field=field.name,
            )
