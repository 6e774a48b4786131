"""Captions of scenes, from templates and the demo's vocabulary."""

from __future__ import annotations

from random import Random

from pairdex.demo.scenes import Item, Scene
from pairdex.demo.vocabulary import SYNONYMS, Background

__all__ = ["PLACES", "SIZES", "article", "caption_scene", "name_item", "reworded"]

PLACES: dict[Background, tuple[str, ...]] = {
    "sky": ("in the sky", "under the sky", "in a clear sky"),
    "grass": ("on the grass", "on a meadow", "on grass"),
    "sand": ("on the sand", "on the beach", "on sand"),
    "night": ("at night", "in the night", "in a dark night"),
    "snow": ("in the snow", "on snow", "in winter snow"),
    "sunset": ("at sunset", "in the sunset", "in the evening"),
    "paper": ("on graph paper", "on paper", "on a sheet of paper"),
    "bricks": ("in front of a brick wall", "by a brick wall", "at a brick wall"),
}
SIZES = {"small": ("small", "tiny", "little"), "large": ("large", "big", "huge")}
_BETWEEN = {
    "left of": ("to the left of", "left of", "beside"),
    "above": ("above", "over", "on top of"),
}
_REVERSED = {"left of": "to the right of", "above": "below"}
_FRAMES = ("{}", "{}", "{}", "a picture of {}", "a drawing of {}", "there is {}")


def caption_scene(scene: Scene, rng: Random) -> str:
    """Return a caption that describes the whole scene: its items, layout and background."""
    place = rng.choice(PLACES[scene.background])
    if len(scene.items) == 1:
        size = rng.choice(SIZES[scene.layout])
        phrase = article(f"{size} {name_item(scene.items[0])}")
    else:
        first, second = (article(name_item(item)) for item in scene.items)
        if rng.random() < 0.25:
            phrase = f"{second} {_REVERSED[scene.layout]} {first}"
        else:
            phrase = f"{first} {rng.choice(_BETWEEN[scene.layout])} {second}"
    return rng.choice(_FRAMES).format(f"{phrase} {place}")


def name_item(item: Item) -> str:
    """Return the item's colour and thing, e.g. `red car`."""
    return f"{item.colour} {item.thing}"


def article(noun: str) -> str:
    """Put the indefinite article before a noun."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def reworded(caption: str, rng: Random, share: float) -> str:
    """Replace each word that has synonyms by one of them, with probability `share`."""
    for word, others in SYNONYMS.items():
        if word in caption and rng.random() < share:
            caption = caption.replace(word, rng.choice(others))
    return caption
