"""Parts that newer ones replace: their rows are taken down, and rows that users removed stay removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.files import lock
from pairdex.store.carried import carry_removed, removed_by_users
from pairdex.store.manifest import Manifest, PartEntry
from pairdex.store.removed import add_removed
from pairdex.store.store import Store
from pairdex.wording import counted

__all__ = ["keep_removed", "take_down"]

_IDENTIFYING = ("url", "uid", "key", "image_path")  # columns that tell which row is which


def take_down(
    collection: Path, before: Manifest | None, entries: Sequence[PartEntry], now: datetime
) -> int:
    """Take down the rows of parts that new ones replace, and return how many rows these have.

    It is done before the manifest names the new parts: a build that is killed in between goes on when
    it is repeated, and shows no row twice.
    """
    replaced = 0
    for entry in entries:
        if not entry.replaces:
            continue
        assert before is not None, "there is nothing to replace in a new collection"
        ids = _rows_of(before, sorted(entry.replaces))
        with lock.removing(collection):
            add_removed(collection, before, ids, reason=_replaced_reason(entry), time=now)
        replaced += len(ids)
    return replaced


def keep_removed(collection: Path, manifest: Manifest, now: datetime) -> list[str]:
    """Remove the rows of newer parts that users removed from the older ones; return notes.

    It looks at all newer parts, so a build that was killed before is completed when it is repeated.
    """
    newer = [at for at, entry in enumerate(manifest.parts) if entry.replaces]
    store = Store(collection) if newer else None
    notes = [_kept(store, manifest, at, now) for at in newer if store is not None]
    return [note for note in notes if note]


def _kept(store: Store, manifest: Manifest, at: int, now: datetime) -> str:
    """Remove the rows of the part at a place in the manifest that users removed before; return a note."""
    entry = manifest.parts[at]
    old, ours = _rows_of(manifest, sorted(entry.replaces)), [_replaced_reason(entry)]
    column = next((name for name in _IDENTIFYING if name in store.schema.names), None)
    if column is not None:
        new = _rows_of(manifest, [at])
        count = carry_removed(store, old=old, new=new, column=column, ours=ours, now=now)
        said = f"{counted(count, 'row')} of part {entry.number} not shown: users removed the same rows before"
    else:
        count = sum(len(ids) for _, ids in removed_by_users(store, old, ours))
        said = (
            f"of the rows of part {entry.number} that users removed before, {count:,} cannot be found "
            f"again, without a column {' or '.join(_IDENTIFYING)}; remove them again"
        )
    return said if count else ""


def _rows_of(manifest: Manifest, parts: Sequence[int]) -> NDArray[np.int64]:
    """Return the ids of the rows of some parts, by their place in the manifest."""
    firsts = np.cumsum([0, *(part.rows for part in manifest.parts)])
    return np.concatenate([np.arange(firsts[i], firsts[i + 1], dtype=np.int64) for i in parts])


def _replaced_reason(entry: PartEntry) -> str:
    return f"part {entry.number} was replaced"
