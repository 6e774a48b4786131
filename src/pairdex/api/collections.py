"""Checking collections."""

from __future__ import annotations

from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.derived.atlas.files import atlas_checks
from pairdex.derived.index import index_checks
from pairdex.derived.lookups.verify import lookup_checks
from pairdex.derived.projections.verify import projection_checks
from pairdex.derived.verify import VerifyReport
from pairdex.derived.verify import verify as verify_store
from pairdex.progress import Progress, at_step

__all__ = ["verify"]


@checked
def verify(collection: StrPath, *, progress: Progress | None = None) -> VerifyReport:
    """Read all files of a collection again and compare their sizes and checksums.

    Parameters
    ----------
    progress
        Called with the step, the bytes done and the bytes in all.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no collection, or the manifest itself is damaged or of a newer format.
    """
    folder = Path(collection)
    checks = [
        *index_checks(folder),
        *lookup_checks(folder),
        *projection_checks(folder),
        *atlas_checks(folder),
    ]
    return verify_store(folder, derived=checks, progress=at_step(progress, "verifying"))
