"""The options that say what is searched for, as a query: `--text car --term "-0.5 red"`."""

from __future__ import annotations

import re
from pathlib import Path

from pairdex.errors import InvalidArgument
from pairdex.search import Query, Term

__all__ = ["query_of", "read_term"]

_WEIGHTED = re.compile(r"([+-])(\d*\.?\d*)\s+(.*)", re.DOTALL)


def query_of(
    text: str | None,
    image: Path | None,
    like: int | None,
    unlike: str | None,
    terms: list[str] | None,
) -> Query:
    """Return the query of the options; beside terms, a text, picture or id is one more of weight 1."""
    if not terms:
        return Query(text=text, image=image, like=like, unlike=unlike)
    has_first = any(value is not None for value in (text, image, like))
    first = [Term(text=text, image=image, like=like)] if has_first else []
    return Query(terms=[*first, *map(read_term, terms)], unlike=unlike)


def read_term(written: str) -> Term:
    """Read a text with its weight before it, as `+2 at night` or `- red`; without one it weighs 1.

    Raises
    ------
    InvalidArgument
        The weight is 0 or too large, or no text follows it.
    """
    weighted = _WEIGHTED.fullmatch(written)
    if weighted is None:
        return Term(text=written)
    sign, size, text = weighted.groups()
    try:
        weight = float(sign + (size or "1"))
    except ValueError as error:
        raise InvalidArgument(
            f"the term {written!r} has the weight {sign}{size}, expected a number as in '-0.5 red'",
            field="term",
        ) from error
    return Term(text=text, weight=weight)
