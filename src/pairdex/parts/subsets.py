"""SISAP's subsets of LAION-2B-en by name: parts, NSFW rule, known row counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pairdex.errors import InvalidArgument, MissingFile
from pairdex.parts.layout import has_bundle, part_numbers
from pairdex.parts.nsfw import NsfwRule
from pairdex.parts.numbers import format_numbers
from pairdex.wording import counted

__all__ = ["SUBSETS", "SisapSubset", "SubsetName", "find_subset"]

SubsetName = Literal["sisap-100K", "sisap-300K", "sisap-10M", "sisap-30M", "sisap-100M"]

_RELEASE = "laion2b-en"


@dataclass(frozen=True)
class SisapSubset:
    """A subset as SISAP's page defines it.

    Attributes
    ----------
    parts, nsfw
        Its parts, in order, and the rule that selects their rows.
    limit
        Keep at most this many of the selected rows, from the first; None for all.
    known_rows
        Number of rows in the organisers' own file, if known.
    remark
        A choice made here that the page leaves open.
    """

    name: SubsetName
    parts: range
    nsfw: NsfwRule
    limit: int | None = None
    known_rows: int | None = None
    remark: str | None = None

    @property
    def numbers(self) -> frozenset[int]:
        """The parts' numbers."""
        return frozenset(self.parts)

    def check_source(self, source: Path) -> None:
        """Raise MissingFile, with the command that fetches them, unless the source holds all parts.

        Raises
        ------
        MissingFile, InvalidArgument
            Parts are missing; the source is a bundle.
        """
        held = part_numbers(source)
        if not held and has_bundle(source):
            raise InvalidArgument(
                f"{source} holds a bundle, which is a subset already: {self.name} selects parts of "
                "LAION-2B-en; build the bundle without --subset",
                field="subset",
            )
        absent = self.numbers - held
        if absent:
            missing = format_numbers(absent)
            raise MissingFile(
                f"{self.name} is made of the parts {format_numbers(self.numbers)} of LAION-2B-en, "
                f"{source} lacks {missing}: pairdex fetch {_RELEASE} {source} --parts {missing}"
            )

    def remarks(self, rows: int) -> list[str]:
        """Return notes on a collection of this subset with this number of rows."""
        said = [] if self.remark is None else [f"{self.name}: {self.remark}"]
        if self.known_rows is not None and rows != self.known_rows:
            said.append(
                f"{self.name} has {counted(self.known_rows, 'row')} in the organisers' file, "
                f"this collection has {rows:,}: its parts are not those that they took"
            )
        return said


_DEVELOPMENT = (
    "the page says neither which parts nor which rows the development subsets have, only that rows "
    "without an NSFW tag are kept: taken here are the first rows of part 1 that are not tagged NSFW"
)

SUBSETS: dict[str, SisapSubset] = {
    subset.name: subset
    for subset in (
        SisapSubset("sisap-100K", range(1, 2), "sisap-dev", 100_000, 100_000, _DEVELOPMENT),
        SisapSubset("sisap-300K", range(1, 2), "sisap-dev", 300_000, None, _DEVELOPMENT),
        SisapSubset("sisap-10M", range(1, 12), "sisap", known_rows=10_120_191),
        SisapSubset("sisap-30M", range(1, 34), "sisap"),
        SisapSubset("sisap-100M", range(1, 112), "sisap", known_rows=102_144_212),
    )
}
assert tuple(SUBSETS) == get_args(SubsetName)


def find_subset(name: str) -> SisapSubset:
    """Return the subset of this name.

    Raises
    ------
    InvalidArgument
        There is none.
    """
    if name not in SUBSETS:
        raise InvalidArgument(
            f"the subset is {name!r}, expected one of {', '.join(SUBSETS)}", field="subset"
        )
    return SUBSETS[name]
