"""Safe mode: only rows that are known to be safe.

By LAION's score (`pairdex score --nsfw`) where the collection has it, or else by the release's tag. A
row without either is not known to be safe.
"""

from __future__ import annotations

import pyarrow as pa

from pairdex.errors import InvalidArgument
from pairdex.store.store import Store

__all__ = ["MAX_PUNSAFE", "SAFE_TAG", "narrowed", "safe_filter"]

MAX_PUNSAFE = 0.5  # LAION's own limit
SAFE_TAG = "UNLIKELY"


def safe_filter(schema: pa.Schema) -> str | None:
    """Return safe mode as a SQL predicate; None where there is neither score nor tag to know it by."""
    kinds = {field.name: field.type for field in schema}
    if pa.types.is_floating(kinds.get("punsafe", pa.null())):
        return f"punsafe < {MAX_PUNSAFE}"
    if pa.types.is_string(kinds.get("nsfw", pa.null())):
        return f"nsfw = '{SAFE_TAG}'"
    return None


def narrowed(store: Store, where: str | None, *, safe: bool) -> str | None:
    """Return a filter that holds for the safe rows, or for all, that satisfy `where`.

    Raises
    ------
    InvalidPredicate
        `where` is no predicate over the columns.
    InvalidArgument
        There is nothing to know safe rows by.
    """
    if not safe:
        return where
    condition = safe_filter(store.schema)
    if condition is None:
        raise InvalidArgument(
            f"{store.path} has neither a column punsafe nor nsfw to know safe rows by; "
            "make one with pairdex score --nsfw, or search without safe mode",
            field="safe",
        )
    if where is None:
        return condition
    both = f"({where}\n) AND {condition}"
    if not store.knows(both):
        store.checked(where)  # alone, for what is wrong with it to be said in its own words
    return both
