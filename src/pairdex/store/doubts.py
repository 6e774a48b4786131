"""What speaks against a part before anything is built: foreign tags, metadata in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.errors import Mismatch
from pairdex.parts.bundle import BundleVectors
from pairdex.parts.columns import Column
from pairdex.parts.nsfw import WORDS, NsfwRule
from pairdex.parts.part import Part
from pairdex.parts.tables import part_tables
from pairdex.wording import counted

__all__ = ["check_order", "check_tags"]

_TABLE_ROWS = 65_536
_SHOWN_VALUES = 5
_SAMPLE_ROWS = 2_000
_LEAST_ROWS = 8  # of fewer rows the order cannot be judged
_SAME = 0.02  # by which a similarity may differ from the cosine of its row's vectors: rounding
_AGREES = 0.9  # share of rows that agree where the order is right
_ALIKE = 0.5  # of a standard deviation: by which quantiles of the same rows may differ in samples
_RELATED = 0.3  # correlation of similarities that another model made, of the same rows


def check_tags(part: Part, columns: Sequence[Column], rule: NsfwRule) -> None:
    """Refuse an NSFW rule on a column that has none of LAION's words, or has them in other letters.

    Raises
    ------
    Mismatch
        The rule would keep or drop rows by words that it does not know.
    """
    tags = [column for column in columns if column.name == "nsfw"]
    if rule == "none" or not tags:
        return
    found: set[str] = set()
    for table in part_tables(part, tags, _TABLE_ROWS):
        found |= set(pc.unique(table["nsfw"].drop_null()).to_pylist())
        if isinstance(part.image, BundleVectors) or len(found) > _TABLE_ROWS:
            break  # a TSV is read as a whole or not at all
    strange = {tag for tag in found - WORDS if tag.strip().upper() in WORDS}
    if found and (strange or not found & WORDS):
        shown = ", ".join(sorted(strange or found)[:_SHOWN_VALUES])
        more = ", ..." if len(strange or found) > _SHOWN_VALUES else ""
        raise Mismatch(
            f"the NSFW rule {rule} knows the tags {', '.join(sorted(WORDS))}, "
            f"{tags[0].source} of {part.table_name} has {shown}{more}: "
            "rename its tags, or select rows with --where"
        )


def check_order(part: Part, columns: Sequence[Column]) -> None:
    """Refuse metadata whose similarities are those of the vectors, but in another order.

    Raises
    ------
    Mismatch
        Metadata and vectors are of other rows.
    """
    column = next((c for c in columns if c.name == "similarity"), None)
    if column is None or part.text is None or part.rows < _LEAST_ROWS:
        return
    rows = min(part.rows, _SAMPLE_ROWS)
    image, text = next(part.image.blocks(rows)), next(part.text.blocks(rows))
    table = next(part_tables(part, [column], rows), pa.table({"similarity": pa.nulls(rows)}))
    said = np.asarray(table["similarity"].cast(pa.float64()).fill_null(np.nan), np.float64)
    meant = _cosines(image, text)
    known = np.isfinite(said) & np.isfinite(meant)
    said, meant = said[known], meant[known]
    if len(said) < _LEAST_ROWS or not _is_in_another_order(said, meant):
        return
    worst = int(np.argmax(np.abs(said - meant)))
    raise Mismatch(
        f"{part.table_name} does not belong to {part.image.name} row by row: the similarity of "
        f"row {int(np.flatnonzero(known)[worst]):,} is {said[worst]:.3f}, that of its vectors "
        f"{meant[worst]:.3f}, and {int(np.sum(np.abs(said - meant) > _SAME)):,} of {counted(len(said), 'row')} "
        "differ, although the values as a whole agree; the rows are in another order: fetch "
        f"part {part.number} again"
    )


def _is_in_another_order(said: NDArray[np.float64], meant: NDArray[np.float64]) -> bool:
    if np.mean(np.abs(said - meant) <= _SAME) >= _AGREES or np.std(said) == 0:
        return False
    shares = np.linspace(0.1, 0.9, 17)
    apart = np.abs(np.quantile(said, shares) - np.quantile(meant, shares)).max()
    if apart > max(_SAME, _ALIKE * np.std(meant)):
        return False
    return bool(np.corrcoef(said, meant)[0, 1] < _RELATED)


def _cosines(image: NDArray[Any], text: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine of each pair of rows; NaN where one has no direction."""
    a, b = image.astype(np.float64), text.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        products = np.einsum("ij,ij->i", a, b)
        return np.asarray(products / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)))
