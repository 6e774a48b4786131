"""Captions and further values by picture, from any source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pairdex.encoders.columns import JsonColumns

__all__ = ["ALL_CAPTIONS", "CAPTION_NAMES", "CaptionTable", "one_line", "split_captions"]

# Names of the caption column; the first existing one is used.
CAPTION_NAMES = ("caption", "text", "title", "name", "captions", "raw", "sentences", "caption_0")
ALL_CAPTIONS = "captions"  # the column of all captions, if pictures have several


@dataclass
class CaptionTable:
    """Captions by picture, and further values.

    Attributes
    ----------
    captions
        The caption of each named picture; the first if it has several.
    several
        All captions of pictures that have more than one.
    values
        The further values of each picture.
    blank
        Values of pictures that were not named.
    problems
        Unusable entries: file and reason.
    """

    captions: dict[str, str] = field(default_factory=dict)
    several: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    columns: JsonColumns = field(default_factory=lambda: JsonColumns({}))
    blank: dict[str, object] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def add(self, picture: str, captions: Sequence[str], values: Mapping[str, object]) -> None:
        """Add a line's caption and values of a picture; further lines add captions."""
        said = [one_line(caption) for caption in captions if caption.strip()]
        if picture in self.captions:
            have = self.several.get(picture) or [c for c in [self.captions[picture]] if c]
            said = [*have, *said]
        else:
            self.values[picture] = dict(values)
        self.captions[picture] = said[0] if said else ""
        if len(said) > 1:
            self.several[picture] = said

    def join(self, other: CaptionTable) -> None:
        """Merge another table; if both name a picture, the existing caption stays."""
        for picture, caption in other.captions.items():
            if picture not in self.captions:
                self.captions[picture] = caption
                self.values[picture] = other.values[picture]
                if picture in other.several:
                    self.several[picture] = other.several[picture]
        self.columns.join(other.columns)
        self.blank |= other.blank
        self.problems += other.problems


def one_line(text: str) -> str:
    """Collapse each run of white space in a text to one space."""
    return " ".join(text.split())


def split_captions(value: object) -> list[str]:
    """Return the captions in a value: a text, or a list of texts."""
    if isinstance(value, list | tuple):
        return [one for item in value for one in split_captions(item)]
    if isinstance(value, dict):  # COCO on Hugging Face: {"raw": "a dog", "tokens": […]}
        return split_captions(value.get("raw"))
    return [] if value is None or not str(value).strip() else [str(value)]
