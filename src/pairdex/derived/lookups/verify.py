"""What `pairdex verify` has to read of a collection's look-ups of URLs and of captions' words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.derived.lookups.keywords import KEYWORDS
from pairdex.derived.lookups.urls import URLS
from pairdex.derived.verify import Check, complaint
from pairdex.files.array_files import open_arrays

__all__ = ["lookup_checks"]


def lookup_checks(collection: Path) -> Iterator[Check]:
    """Yield a check of every look-up file in the collection's folder."""
    for kind in (KEYWORDS, URLS):
        for path in sorted(collection.glob(f"indexes/{kind.name}/*")):
            if not path.name.isdigit():
                continue  # on its way, of a writer that was killed
            inside = str(path.relative_to(collection))
            remedy = f"delete {path}; the next search that needs it makes it again"
            opens = partial(open_arrays, path, kind=kind.name, version=kind.version, source=None)
            yield Check(inside, path.stat().st_size, partial(complaint, opens), remedy)
