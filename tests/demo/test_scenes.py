"""Scenes are drawn from a seed, and all things can be distinguished."""

from collections import Counter
from itertools import combinations
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pairdex.demo.backgrounds import draw_background
from pairdex.demo.captions import article, caption_scene, name_item, reworded
from pairdex.demo.pen import PAINTS, Pen, tones_of
from pairdex.demo.scenes import (
    SCENE_PIXELS,
    Item,
    Scene,
    draw_scene,
    is_held_out,
    random_scene,
)
from pairdex.demo.things import draw_thing
from pairdex.demo.vocabulary import BACKGROUNDS, COLOURS, EXAMPLES, SYNONYMS, THINGS

CAT = Item("cat", "red")
BOAT = Item("boat", "blue")


def drawn_alone(thing, colour="red"):
    """The thing on a canvas of 120 pixels, in the square from 20 to 100."""
    picture = Image.new("RGB", (120, 120), (1, 2, 3))
    pen = Pen(ImageDraw.Draw(picture), 60, 60, 40, tones_of(colour, PAINTS[colour]))
    draw_thing(thing, pen)
    return np.asarray(picture)


def test_there_are_24_things_11_colours_and_8_places():
    assert (len(THINGS), len(COLOURS), len(BACKGROUNDS)) == (24, 11, 8)


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_fills_its_square_and_hardly_leaves_it(thing):
    rows, columns = np.nonzero((drawn_alone(thing) != (1, 2, 3)).any(axis=2))
    assert max(np.ptp(rows), np.ptp(columns)) >= 70
    assert min(rows.min(), columns.min()) >= 15
    assert max(rows.max(), columns.max()) <= 105


def test_no_two_things_look_alike():
    shapes = {thing: (drawn_alone(thing) != (1, 2, 3)).any(axis=2) for thing in THINGS}
    for one, other in combinations(THINGS, 2):
        pictures = drawn_alone(one), drawn_alone(other)
        differs = (pictures[0] != pictures[1]).any(axis=2).sum()
        assert differs > 0.04 * (shapes[one] | shapes[other]).sum(), (one, other)


@pytest.mark.parametrize("colour", COLOURS)
def test_an_outline_contrasts_with_its_colour(colour):
    tones = tones_of(colour, PAINTS[colour])
    assert sum(abs(a - b) for a, b in zip(tones.main, tones.ink, strict=True)) > 100


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_place_is_a_square_rgb_picture_unlike_the_others(background):
    picture = draw_background(background, Random(1), 96)
    assert (picture.size, picture.mode) == ((96, 96), "RGB")
    for other in set(BACKGROUNDS) - {background}:
        difference = np.asarray(picture, int) - np.asarray(draw_background(other, Random(1), 96))
        assert np.abs(difference).mean() > 8, other


def test_equal_seeds_draw_equal_pictures_and_others_do_not():
    scene = Scene((CAT, BOAT), "left of", "night")
    pictures = [draw_scene(scene, Random(seed)).tobytes() for seed in (1, 1, 2)]
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize("pixels", [16, 48, 101, SCENE_PIXELS])
def test_a_scene_is_drawn_in_any_size(pixels):
    picture = draw_scene(Scene((CAT,), "small", "bricks"), Random(0), pixels=pixels)
    assert (picture.size, picture.mode) == ((pixels, pixels), "RGB")


def test_random_scenes_use_all_words_and_half_have_one_thing():
    rng = Random(0)
    scenes = [random_scene(rng) for _ in range(4_000)]
    items = [item for scene in scenes for item in scene.items]
    assert {item.thing for item in items} == set(THINGS)
    assert {item.colour for item in items} == set(COLOURS)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    layouts = Counter((len(scene.items), scene.layout) for scene in scenes)
    assert set(layouts) == {(1, "small"), (1, "large"), (2, "left of"), (2, "above")}
    assert min(layouts.values()) > 850


def test_two_things_of_a_scene_are_different_things():
    rng = Random(0)
    scenes = [random_scene(rng) for _ in range(500)]
    assert all(len({item.thing for item in scene.items}) == len(scene.items) for scene in scenes)


def test_one_combination_in_sixteen_is_held_out_whatever_is_drawn():
    rng = Random(0)
    scenes = [random_scene(rng) for _ in range(8_000)]
    share = np.mean([is_held_out(scene) for scene in scenes])
    assert 0.05 < share < 0.075
    assert is_held_out(scenes[0]) == is_held_out(
        Scene(scenes[0].items, scenes[0].layout, scenes[0].background)
    )


def test_a_caption_describes_the_whole_scene():
    rng = Random(0)
    for _ in range(500):
        scene = random_scene(rng)
        caption = caption_scene(scene, rng)
        assert all(name_item(item) in caption for item in scene.items), caption
        assert caption == caption.strip().lower()


def test_a_caption_of_two_things_is_true_from_either_side():
    scene = Scene((CAT, BOAT), "left of", "snow")
    captions = {caption_scene(scene, Random(seed)) for seed in range(200)}
    assert any("a red cat left of a blue boat" in caption for caption in captions)
    assert any("a blue boat to the right of a red cat" in caption for caption in captions)
    assert not any("a red cat to the right of" in caption for caption in captions)


@pytest.mark.parametrize(
    ("noun", "said"),
    [("orange cup", "an orange cup"), ("cup", "a cup"), ("umbrella", "an umbrella")],
)
def test_the_article_fits_the_noun(noun, said):
    assert article(noun) == said


def test_words_are_replaced_by_synonyms_with_the_given_probability():
    assert reworded("a gray cat", Random(0), 0.0) == "a gray cat"
    assert reworded("a gray cat", Random(0), 1.0) == "a grey kitten"


def test_example_queries_use_words_of_the_vocabulary():
    words = set(THINGS) | set(COLOURS) | {word for many in SYNONYMS.values() for word in many}
    assert all(any(word in example for word in words) for example in EXAMPLES)
