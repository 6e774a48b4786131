"""Making and checking collections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pairdex.collection import Collection
from pairdex.encoders.model import load_model
from pairdex.parts.layout import DEFAULT_TOWER, Tower
from pairdex.parts.model_record import ModelRecord
from pairdex.parts.nsfw import NsfwRule
from pairdex.parts.places import local_place
from pairdex.progress import Progress, at_step
from pairdex.store.build import BuildOptions, BuildReport, build_collection
from pairdex.store.plan import selection_of

__all__ = ["build", "open"]


def open(  # noqa: A001 - pairdex.open, as gzip.open
    path: str | Path, *, model: str | Path | None = None, use_codes: bool = True
) -> Collection:
    """Open the collection in the folder `path`; see `Collection.open`."""
    return Collection.open(path, model=model, use_codes=use_codes)


def build(
    source: str | Path,
    collection: str | Path,
    *,
    parts: frozenset[int] | None = None,
    nsfw: NsfwRule | None = None,
    where: str | None = None,
    limit: int | None = None,
    subset: str | None = None,
    metadata: str | Path | None = None,
    tower: Tower = DEFAULT_TOWER,
    model: str | Path | None = None,
    replace_parts: Iterable[int] = (),
    skip_incomplete: bool = False,
    link: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a collection from parts, or add those it does not hold yet; resumed by the same call.

    Parameters
    ----------
    source
        A folder of parts in the layout of LAION-400M, LAION-2B-en, clip-retrieval or DataComp; a
        bundle of SISAP's (.h5), or a folder that holds one; or tables (.parquet) with a column of
        vectors.
    collection
        The folder of the collection, new or existing.
    parts
        Only the parts of these numbers; all when None.
    nsfw
        `none` (the default) keeps all rows, `safe` those tagged UNLIKELY, `sisap` those with a tag
        other than NSFW, `sisap-dev` those not tagged NSFW.
    where
        A SQL predicate over the parts' columns.
    limit
        Stop when the collection has so many rows.
    subset
        `sisap-10M` and its like: the parts and the NSFW rule of SISAP's subsets of LAION-2B-en.
    metadata
        The TSV of a bundle, where it is not the `meta-10M.tsv` beside it.
    tower
        Which of DataComp's two models to take.
    model
        The name or folder of the model that made the vectors; encoded parts say it themselves.
    replace_parts
        The numbers of parts whose files have changed: their old rows are taken down, the new ones added.
    skip_incomplete
        Leave out parts that are not whole instead of refusing.
    link
        Share vectors with the released files where no row is dropped and nothing is converted.
    workers
        How many parts are written at once, each in a process of its own.
    progress
        Called with the step, the rows done and the rows in all.

    Returns
    -------
    BuildReport
        Rows kept and dropped, by reason; notes on what one should know of the source.

    Raises
    ------
    PairdexError
        Parts that are damaged or do not fit each other or the collection; a full disk; another
        writer. What was there before is untouched.
    """
    return build_collection(
        local_place(source),
        local_place(collection, field="collection"),
        selection=selection_of(
            subset=subset, parts=parts, nsfw=nsfw, where=where, limit=limit, tower=tower
        ),
        model=None if model is None else _record(model),
        options=BuildOptions(
            metadata=None if metadata is None else local_place(metadata, field="metadata"),
            replaced=frozenset(replace_parts),
            skip_incomplete=skip_incomplete,
            link=link,
            workers=workers,
        ),
        now=datetime.now(UTC),
        progress=at_step(progress, "building"),
    )


def _record(model: str | Path) -> ModelRecord:
    loaded = load_model(model)
    return loaded.record()
