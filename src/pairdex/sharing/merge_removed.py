"""Rows removed at either end stay removed: the list that arrives is joined with the one that is there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.files import atomic, lock
from pairdex.store.manifest import Manifest
from pairdex.store.removed import REMOVED, add_removed, read_reasons

__all__ = ["place_removed", "removed_ids"]


def removed_ids(folder: Path, manifest: Manifest) -> NDArray[np.int64]:
    """Return the ids of the removed rows, ascending; empty if no row was removed."""
    return read_reasons(folder, manifest)[0]


def place_removed(arrived: Path, folder: Path, manifest: Manifest, now: datetime) -> None:
    """Make the rows removed in the folder `arrived` removed in the collection's folder too.

    Raises
    ------
    DamagedFile, UnsupportedFormat, Mismatch
        A list is damaged, or belongs to another collection.
    """
    ids, reasons = read_reasons(arrived, manifest)
    with lock.removing(folder):
        ours = removed_ids(folder, manifest)
        if np.isin(ours, ids).all():
            atomic.rename(arrived / REMOVED, folder / REMOVED)
            return
        for reason in reasons.unique().to_pylist():
            of_reason = ids[np.asarray(reasons.to_numpy(zero_copy_only=False)) == reason]
            add_removed(folder, manifest, of_reason, reason=reason, time=now)
