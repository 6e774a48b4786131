"""Prints which ways a search had, what each was expected to cost and reach, and which it took."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pairdex.knn.ways import Choice, Way
from pairdex.wording import counted, duration

__all__ = ["ExplainOption", "print_choices"]

_KINDS = {
    "own": "like the rows",
    "other": "like the other kind of vectors",
    "unknown": "unlike the rows",
}

ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Say which ways the search had, what each was expected to cost and reach, and why one was "
        "taken.",
    ),
]


def print_choices(choices: tuple[Choice, ...]) -> None:
    """Print the choice of each kind of query, its ways below it."""
    for choice in choices:
        count = len(choice.positions)
        queries = counted(count, "query")
        kind = f" {_KINDS[choice.kind]}" if choice.kind in _KINDS else ""
        sys.stdout.write(f"{queries}{kind}: by {choice.taken}, because {choice.because}\n")
        for way in choice.ways:
            sys.stdout.write(f"  {way.name:<6} {_said(way)}\n")


def _said(way: Way) -> str:
    facts = [way.params]
    if way.microseconds is not None:
        facts.append(f"about {duration(way.microseconds / 1e6)} a query")
    if way.recall is not None:
        facts.append("exact" if way.recall == 1 else f"recall {way.recall:.3f} promised")
    if way.why_not is not None:
        facts.append(f"not possible: {way.why_not}")
    return ", ".join(filter(None, facts))
