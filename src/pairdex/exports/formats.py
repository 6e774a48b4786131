"""The export formats, and the options of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument
from pairdex.exports.clickhouse import export_clickhouse
from pairdex.exports.folders import ExportReport, Nodes
from pairdex.exports.laion import export_laion
from pairdex.exports.names import Config, Format
from pairdex.exports.parquet import export_parquet
from pairdex.exports.sisap import export_sisap
from pairdex.exports.tfds import export_tfds
from pairdex.exports.tsv import export_tsv
from pairdex.exports.webdataset import DEFAULT_TAR_ROWS, export_webdataset
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.manifest import MANIFEST
from pairdex.store.pictures import picture_folders
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


# The formats without options: those of single files, and those of a file per part.
_WHOLE: dict[Format, Callable[..., ExportReport]] = {"sisap": export_sisap, "tsv": export_tsv}
_PLAIN: dict[Format, Callable[..., ExportReport]] = {
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
    cluster: str | None = None,
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
    cluster
        The address of a Ray cluster (host:port) whose nodes write the parts, or `auto`. All nodes must see the
        collection, its pictures and the folder of `dest`. Not for `sisap` and `tsv`, which are single files.
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
        damaged, the disk is full, or a node of the cluster does not see a folder.
    """
    options = ExportOptions(config, rows, None if vectors is None else tuple(vectors))
    step = at_step(progress, "writing")
    return export_collection(
        Path(collection), Path(dest), form, options, cluster=cluster, progress=step
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
    *,
    cluster: str | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Export a collection to the folder `target` in the given format.

    Raises
    ------
    InvalidArgument
        The format does not exist, does not have an option, or is one file, which a cluster cannot write.
    PairdexError
        The export failed; see the format's module.
    """
    _check(form, options)
    if form in _WHOLE:
        if cluster is not None:
            raise InvalidArgument(
                f"the format {form} is written from beginning to end, by one machine; leave out cluster",
                field="cluster",
            )
        return _WHOLE[form](open_store(collection), target, progress=progress)
    more: dict[str, Any] = {"nodes": _nodes(collection, cluster), "progress": progress}
    if form == "tfds":
        config = options.config or "images"
        return export_tfds(collection, target, config=config, shard_rows=options.rows, **more)
    store = open_store(collection)
    if form == "parquet":
        return export_parquet(store, target, vectors=options.vectors, **more)
    if form == "webdataset":
        rows = DEFAULT_TAR_ROWS if options.rows is None else options.rows
        return export_webdataset(store, target, tar_rows=rows, **more)
    return _PLAIN[form](store, target, **more)


def _nodes(source: Path, cluster: str | None) -> Nodes | None:
    if cluster is None:
        return None
    parts = open_store(source).manifest.parts if (source / MANIFEST).exists() else []
    return Nodes(cluster, [source.resolve(), *picture_folders(parts)])


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
