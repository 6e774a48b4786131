"""The words that the demo model knows, and example queries."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "EXAMPLES",
    "SYNONYMS",
    "THINGS",
    "Background",
    "Colour",
    "Thing",
]

Thing = Literal[
    "circle", "square", "triangle", "star", "heart", "moon", "arrow", "house",
    "tree", "flower", "car", "boat", "fish", "cat", "smiley face", "sun",
    "mushroom", "umbrella", "cup", "cloud", "balloon", "crown", "key", "rocket",
]  # fmt: skip
Colour = Literal[
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray"
]
Background = Literal["sky", "grass", "sand", "night", "snow", "sunset", "paper", "bricks"]

THINGS: tuple[Thing, ...] = get_args(Thing)
COLOURS: tuple[Colour, ...] = get_args(Colour)
BACKGROUNDS: tuple[Background, ...] = get_args(Background)

SYNONYMS: dict[str, tuple[str, ...]] = {
    "circle": ("disc",),
    "square": ("box",),
    "moon": ("crescent",),
    "house": ("home",),
    "tree": ("pine tree",),
    "flower": ("blossom",),
    "car": ("automobile",),
    "boat": ("ship", "sailboat"),
    "cat": ("kitten",),
    "smiley face": ("smiley", "face"),
    "cup": ("mug",),
    "rocket": ("spaceship",),
    "gray": ("grey",),
}

EXAMPLES = (
    "a red car",
    "cat",
    "orange mushroom",
    "a boat at sunset",
    "smiley face",
    "a green tree in the snow",
    "yellow star at night",
    "a pink flower on the grass",
    "blue umbrella",
    "a house and a tree",
)
