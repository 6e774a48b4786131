"""Training texts and what they claim of a scene: a text may fit many pictures of a batch.

A batch holds several pictures that "a red car" is true of. Taking all but one for wrong would teach
the model to distinguish them, so the loss learns which match: `fits`.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pairdex.demo.captions import PLACES, SIZES, article, caption_scene, reworded
from pairdex.demo.scenes import Item, Scene
from pairdex.demo.vocabulary import BACKGROUNDS, COLOURS, THINGS

FULL_SHARE = 0.55  # of the texts say all of their scene
SYNONYM_SHARE = 0.12
# A picture with one more thing than the text names fits so much less than one without.
MORE_THAN_NAMED = 0.2

LAYOUTS = ("small", "large", "left of", "above")
UNSAID = -1
_NOUNS = {
    "sky": ("sky", "the sky"),
    "grass": ("grass", "meadow"),
    "sand": ("sand", "beach"),
    "night": ("night", "the night"),
    "snow": ("snow", "winter"),
    "sunset": ("sunset", "evening"),
    "paper": ("paper", "graph paper"),
    "bricks": ("brick wall", "bricks"),
}


class Claim(NamedTuple):
    """Numbers of what a text says; UNSAID where it says nothing. A scene claims all of itself."""

    count: int
    thing1: int
    colour1: int
    thing2: int
    colour2: int
    background: int
    layout: int


def claim_of(scene: Scene) -> Claim:
    """Return what the full caption of a scene claims."""
    numbers = [UNSAID] * 4
    for i, item in enumerate(scene.items):
        numbers[2 * i : 2 * i + 2] = THINGS.index(item.thing), COLOURS.index(item.colour)
    background = BACKGROUNDS.index(scene.background)
    return Claim(len(scene.items), *numbers, background, LAYOUTS.index(scene.layout))


def training_text(scene: Scene, rng: Random) -> tuple[str, Claim]:
    """Return a text that is true of the scene, and its claim."""
    choice = rng.random()
    if choice < FULL_SHARE:
        text, claim = caption_scene(scene, rng), claim_of(scene)
    elif choice > 0.97:
        text, claim = _place_only(scene, rng)
    elif len(scene.items) == 2 and rng.random() < 0.5:
        text, claim = _two_items(scene, rng)
    else:
        text, claim = _one_item(scene, rng)
    return reworded(text, rng, SYNONYM_SHARE), claim


def fits(texts: list[Claim], scenes: list[Claim]) -> NDArray[np.float32]:
    """Return how well each scene fits each text: 1, MORE_THAN_NAMED or 0; shape (texts, scenes)."""
    t, s = np.array(texts)[:, None, :], np.array(scenes)[None, :, :]

    def item(i: int, j: int) -> NDArray[np.bool_]:
        thing, colour = t[..., 2 * i - 1], t[..., 2 * i]
        return ((thing == UNSAID) | (thing == s[..., 2 * j - 1])) & (
            (colour == UNSAID) | (colour == s[..., 2 * j])
        )

    count, layout, two = t[..., 0], t[..., 6], s[..., 0] == 2
    one_of_them = item(1, 1) | (two & item(1, 2))
    both = two & ((item(1, 1) & item(2, 2)) | ((layout == UNSAID) & item(1, 2) & item(2, 1)))
    right = np.where(count == 2, both, np.where(count == 1, one_of_them, True))
    right &= (t[..., 5] == UNSAID) | (t[..., 5] == s[..., 5])
    right &= (layout == UNSAID) | (layout == s[..., 6])
    more = (count > 0) & (s[..., 0] > count)
    return (right * np.where(more, MORE_THAN_NAMED, 1.0)).astype(np.float32)


def _place_only(scene: Scene, rng: Random) -> tuple[str, Claim]:
    background = BACKGROUNDS.index(scene.background)
    return rng.choice(_NOUNS[scene.background]), Claim(0, -1, -1, -1, -1, background, UNSAID)


def _one_item(scene: Scene, rng: Random) -> tuple[str, Claim]:
    item = rng.choice(scene.items)
    words, layout = [], UNSAID
    if len(scene.items) == 1 and rng.random() < 0.15:
        words, layout = [rng.choice(SIZES[scene.layout])], LAYOUTS.index(scene.layout)
    phrase, thing, colour = _phrase(item, rng)
    said = " ".join([*words, phrase])
    if rng.random() < 0.6:
        said = article(said)
    place, background = _place(scene, rng)
    return said + place, Claim(1, thing, colour, UNSAID, UNSAID, background, layout)


def _two_items(scene: Scene, rng: Random) -> tuple[str, Claim]:
    items = rng.sample(scene.items, 2)
    (first, *one), (second, *two) = (_phrase(item, rng) for item in items)
    if rng.random() < 0.7:
        first, second = article(first), article(second)
    place, background = _place(scene, rng)
    return f"{first} and {second}{place}", Claim(2, *one, *two, background, UNSAID)


def _phrase(item: Item, rng: Random) -> tuple[str, int, int]:
    """Name an item by colour and thing, by its thing alone, or seldom by its colour alone."""
    thing, colour, choice = THINGS.index(item.thing), COLOURS.index(item.colour), rng.random()
    if choice < 0.5:
        return f"{item.colour} {item.thing}", thing, colour
    if choice < 0.95:
        return item.thing, thing, UNSAID
    return f"{item.colour} thing", UNSAID, colour


def _place(scene: Scene, rng: Random) -> tuple[str, int]:
    if rng.random() < 0.7:
        return "", UNSAID
    place = rng.choice(PLACES[scene.background])
    return f" {place}", BACKGROUNDS.index(scene.background)
