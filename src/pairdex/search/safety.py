"""Safe mode: find only rows known to be safe.

Safe mode uses LAION's score (`pairdex score --nsfw`) if the collection has it, and otherwise the
release's tag. It excludes rows that have neither.
"""

from __future__ import annotations

import pyarrow as pa

from pairdex.errors import InvalidArgument
from pairdex.store.store import Store

__all__ = ["MAX_PUNSAFE", "SAFE_TAG", "narrowed", "safe_filter"]

MAX_PUNSAFE = 0.5  # LAION's threshold
SAFE_TAG = "UNLIKELY"


def safe_filter(schema: pa.Schema) -> str | None:
    """Return safe mode as a SQL predicate; None if the collection has neither score nor tag."""
    if pa.types.is_floating(_kind(schema, "punsafe")):
        return f"punsafe < {MAX_PUNSAFE}"
    if pa.types.is_string(_kind(schema, "nsfw")):
        return f"nsfw = '{SAFE_TAG}'"
    return None


def _kind(schema: pa.Schema, name: str) -> pa.DataType:
    place = schema.get_field_index(name)
    return pa.null() if place < 0 else schema.field(place).type


def narrowed(store: Store, where: str | None, *, safe: bool) -> str | None:
    """Combine `where` with safe mode, if requested, into one filter.

    Raises
    ------
    InvalidPredicate
        `where` is not a valid predicate over the columns.
    InvalidArgument
        The collection has neither a score nor a tag.
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
        store.check_filter(where)  # parsed alone so that an error quotes the caller's filter
    return both
