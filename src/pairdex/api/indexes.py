"""Approximate indexes of a collection."""

from __future__ import annotations

from pathlib import Path

from pairdex.derived.index import IndexReport, make_index
from pairdex.ivf.parameters import DEFAULT_RECALL, Size
from pairdex.progress import Progress
from pairdex.store.store import Kind

__all__ = ["index"]


def index(
    collection: str | Path,
    *,
    on: Kind = "image",
    recall: float = DEFAULT_RECALL,
    memory_bytes: int | None = None,
    size: Size | None = None,
    nlist: int | None = None,
    progress: Progress | None = None,
) -> IndexReport:
    """Build the approximate index of a collection, or add the rows that it lacks, and measure it.

    Recall is measured against the exact search, with rows that the index was not trained on and, where
    the collection has both kinds of vectors, with those of the other kind: texts among images. Searches
    use the index from then on, where it is the cheaper way. Resumed by the same call.

    Parameters
    ----------
    on
        The vectors that are indexed.
    recall
        recall@10 that searches ask for where they do not say, 0.5 to 0.999.
    memory_bytes
        What building and searching may take at most. It decides `size`, and whether the vectors are
        left on disk.
    size
        `fast`: half a byte a dimension; `compact`: half of that.
    nlist
        The number of lists, in the place of about 4 sqrt(rows).
    progress
        Called with what is being done, and how much of how much.

    Raises
    ------
    PairdexError
        Nothing to index, a value out of bounds, too little memory; another writer; no room.
    """
    return make_index(
        Path(collection),
        on=on,
        recall=recall,
        memory_bytes=memory_bytes,
        size=size,
        nlist=nlist,
        progress=progress,
    )
