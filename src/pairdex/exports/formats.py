"""The export formats, and the options of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

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
from pairdex.progress import StepProgress
from pairdex.store.store import Kind, Store

__all__ = ["ExportOptions", "export_collection"]

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


@dataclass(frozen=True)
class ExportOptions:
    """Options that only some formats have; None means the default of the format.

    `config` is the TFDS configuration, `rows` the maximum number of rows per file, `vectors` the kinds of
    vectors to write.
    """

    config: Config | None = None
    rows: int | None = None
    vectors: tuple[Kind, ...] | None = None


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
    store = Store(collection)
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
