"""Example queries of a collection: short captions of its own rows."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from pairdex.collection import Collection
from pairdex.search import safe_filter

__all__ = ["MAX_EXAMPLES", "example_queries"]

MAX_EXAMPLES = 8
SAMPLED_ROWS = 1_000  # evenly over the collection; read in some milliseconds
MAX_CHARS = 60  # of an example: it has to fit on a phone
_SHORT = re.compile(r"[^\W\d_]{3,}(?:[ '-][^\W\d_]+){0,4}")  # one to five words of letters
_PLAIN = re.compile(r"[\w ,.'-]{3,}")


def example_queries(collection: Collection) -> list[str]:
    """Return up to MAX_EXAMPLES captions to search for: of rows that are shown, short ones if possible.

    Captions are untrusted: only letters, digits, spaces and plain punctuation are taken. If safe mode is
    available, only rows known to be safe give examples.
    """
    if "caption" not in collection.columns:
        return []
    captions = [" ".join(caption.split()) for caption in _sampled(collection)]
    fitting = [caption for caption in dict.fromkeys(captions) if len(caption) <= MAX_CHARS]
    short = [caption for caption in fitting if _SHORT.fullmatch(caption)]
    chosen = short if len(short) >= MAX_EXAMPLES else list(filter(_PLAIN.fullmatch, fitting))
    step = max(1, len(chosen) // MAX_EXAMPLES)
    return chosen[::step][:MAX_EXAMPLES]


def _sampled(collection: Collection) -> list[str]:
    store = collection.finder.store
    ids = np.unique(np.linspace(0, store.rows - 1, min(store.rows, SAMPLED_ROWS)).astype(np.int64))
    live = store.allowed()
    if live is not None:
        ids = ids[live[ids]]
    rows = store.read(ids)
    condition = safe_filter(rows.schema)
    if condition is not None:
        from pairdex.predicate import Predicate  # noqa: PLC0415 - DuckDB loads slowly

        rows = rows.filter(pa.array(Predicate(condition).mask(rows)))
    return [caption for caption in rows["caption"].to_pylist() if isinstance(caption, str)]
