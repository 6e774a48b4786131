"""Draw each thing of the demo's vocabulary, recognisable in any colour, even at 15 pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pairdex.demo.pen import Pen, Point
from pairdex.demo.vocabulary import Thing

__all__ = ["draw_thing"]


def draw_thing(thing: Thing, pen: Pen) -> None:
    """Draw a thing in the pen's colour so that it fills the square from -1 to 1."""
    _DRAWINGS[thing](pen)


def _ring(count: int, radius: float, start: float = -90.0) -> list[Point]:
    """Return `count` points on a circle, clockwise from `start` degrees."""
    angles = [math.radians(start + 360.0 * i / count) for i in range(count)]
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _bow(box: tuple[float, float, float, float], start: float, end: float) -> list[Point]:
    """Return points on an arc of the ellipse (x, y, rx, ry), in degrees clockwise from the right."""
    x, y, rx, ry = box
    angles = [math.radians(start + (end - start) * i / 24) for i in range(25)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _moved(points: Sequence[Point], x: float, y: float) -> list[Point]:
    return [(px + x, py + y) for px, py in points]


def _circle(pen: Pen) -> None:
    pen.ellipse(0, 0, 1, 1, pen.tones.main)


def _square(pen: Pen) -> None:
    pen.box(-0.88, -0.88, 0.88, 0.88, pen.tones.main)


def _triangle(pen: Pen) -> None:
    pen.polygon([(0, -0.9), (1, 0.84), (-1, 0.84)], pen.tones.main)


_STAR = [p for pair in zip(_ring(5, 1.05), _ring(5, 0.45, -54), strict=True) for p in pair]


def _star(pen: Pen) -> None:
    pen.polygon(_moved(_STAR, 0, 0.08), pen.tones.main)


def _heart_point(angle: float) -> Point:
    cosines = 13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle)
    return math.sin(angle) ** 3, -(cosines - math.cos(4 * angle)) / 16 - 0.08


_HEART = [_heart_point(2 * math.pi * i / 40) for i in range(40)]


def _heart(pen: Pen) -> None:
    pen.polygon(_HEART, pen.tones.main)


_MOON = [*_bow((0, 0, 1, 1), 50, 310), *_bow((0.42, 0, 0.8, 0.8), 286, 74)]


def _moon(pen: Pen) -> None:
    pen.polygon(_moved(_MOON, 0.12, 0), pen.tones.main)


def _arrow(pen: Pen) -> None:
    head = [(0.1, -0.75), (1, 0), (0.1, 0.75)]
    pen.polygon([(-1, -0.28), (0.1, -0.28), *head, (0.1, 0.28), (-1, 0.28)], pen.tones.main)


def _house(pen: Pen) -> None:
    tones = pen.tones
    pen.box(0.35, -0.9, 0.58, -0.3, tones.dark)
    pen.box(-0.75, -0.12, 0.75, 0.95, tones.main)
    pen.polygon([(-1, -0.1), (0, -0.95), (1, -0.1)], tones.dark)
    pen.box(-0.5, 0.3, -0.1, 0.95, tones.dark)
    pen.box(0.15, 0.15, 0.55, 0.5, tones.light)


def _tree(pen: Pen) -> None:
    pen.box(-0.16, 0.55, 0.16, 1, pen.tones.dark)
    for top, bottom, width in ((-0.05, 0.65, 0.85), (-0.55, 0.2, 0.66), (-1, -0.25, 0.46)):
        pen.polygon([(0, top - 0.1), (width, bottom), (-width, bottom)], pen.tones.main)


def _flower(pen: Pen) -> None:
    pen.line([(0, 0), (0, 1)], 0.13, pen.tones.dark)
    pen.polygon(_bow((0.25, 0.78, 0.27, 0.13), 0, 345), pen.tones.dark)
    for x, y in _ring(6, 0.4):
        pen.ellipse(x, y - 0.3, 0.27, 0.27, pen.tones.main)
    pen.ellipse(0, -0.3, 0.26, 0.26, pen.tones.light)


def _car(pen: Pen) -> None:
    tones = pen.tones
    pen.polygon([(-0.6, 0), (-0.35, -0.5), (0.3, -0.5), (0.62, 0)], tones.main)
    pen.polygon([(-1, 0), (0.9, 0), (1, 0.12), (1, 0.45), (-1, 0.45)], tones.main)
    pen.patch([(-0.42, -0.02), (-0.25, -0.38), (-0.05, -0.38), (-0.05, -0.02)], tones.light)
    pen.patch([(0.07, -0.02), (0.07, -0.38), (0.24, -0.38), (0.42, -0.02)], tones.light)
    for x in (-0.52, 0.52):
        pen.spot(x, 0.45, 0.27, 0.27, tones.ink)
        pen.spot(x, 0.45, 0.12, 0.12, tones.light)


def _boat(pen: Pen) -> None:
    tones = pen.tones
    pen.line([(0.05, -0.95), (0.05, 0.4)], 0.09, tones.ink)
    pen.polygon([(0.14, -0.85), (0.14, 0.28), (0.85, 0.28)], tones.light)
    pen.polygon([(-0.04, -0.6), (-0.04, 0.28), (-0.6, 0.28)], tones.light)
    pen.polygon([(-1, 0.4), (1, 0.4), (0.65, 0.9), (-0.65, 0.9)], tones.main)


def _fish(pen: Pen) -> None:
    tones = pen.tones
    pen.polygon([(0.4, 0), (1, -0.5), (0.88, 0), (1, 0.5)], tones.dark)
    pen.polygon([(-0.35, -0.4), (0.05, -0.72), (0.3, -0.3)], tones.dark)
    pen.ellipse(-0.25, 0, 0.75, 0.48, tones.main)
    pen.ellipse(-0.65, -0.12, 0.12, 0.12, (255, 255, 255))
    pen.spot(-0.66, -0.12, 0.06, 0.06, (0, 0, 0))
    pen.arc((-0.55, 0, 0.4, 0.4), (-55, 55), 0.06, tones.ink)


def _cat(pen: Pen) -> None:
    tones = pen.tones
    for side in (-1, 1):
        pen.polygon([(side * 0.82, -0.98), (side * 0.85, 0), (side * 0.15, -0.45)], tones.main)
        pen.patch([(side * 0.7, -0.72), (side * 0.7, -0.4), (side * 0.45, -0.5)], tones.light)
    pen.ellipse(0, 0.2, 0.92, 0.76, tones.main)
    for side in (-1, 1):
        pen.spot(side * 0.36, 0.08, 0.15, 0.19, (255, 255, 255))
        pen.spot(side * 0.36, 0.08, 0.07, 0.17, (0, 0, 0))
        for slope in (-0.12, 0.1):
            pen.line([(side * 0.4, 0.45), (side * 1.05, 0.45 + slope)], 0.05, tones.ink)
        pen.arc((side * 0.12, 0.52, 0.12, 0.14), (0, 180), 0.06, tones.ink)
    pen.patch([(-0.12, 0.33), (0.12, 0.33), (0, 0.5)], tones.ink)


def _smiley(pen: Pen) -> None:
    pen.ellipse(0, 0, 1, 1, pen.tones.main)
    for x in (-0.35, 0.35):
        pen.spot(x, -0.25, 0.13, 0.2, pen.tones.ink)
    pen.arc((0, 0.08, 0.58, 0.52), (15, 165), 0.13, pen.tones.ink)


def _sun(pen: Pen) -> None:
    tips, left, right = _ring(10, 1.08), _ring(10, 0.6, -107), _ring(10, 0.6, -73)
    for ray in zip(tips, left, right, strict=True):
        pen.polygon(ray, pen.tones.main)
    pen.ellipse(0, 0, 0.6, 0.6, pen.tones.main)


def _mushroom(pen: Pen) -> None:
    tones = pen.tones
    pen.polygon([(-0.25, 0), (0.25, 0), (0.34, 0.9), (-0.34, 0.9)], tones.light)
    pen.polygon(_bow((0, 0.12, 1, 1), 180, 360), tones.main)
    for x, y, r in (
        (-0.5, -0.25, 0.15),
        (0.02, -0.5, 0.18),
        (0.5, -0.2, 0.14),
        (-0.08, -0.06, 0.12),
    ):
        pen.spot(x, y, r, r, tones.light)


def _umbrella(pen: Pen) -> None:
    tones = pen.tones
    pen.line([(0, -0.98), (0, 0.75)], 0.1, tones.ink)
    pen.arc((-0.18, 0.74, 0.23, 0.24), (0, 180), 0.1, tones.ink)
    scallops = [p for x in (0.67, 0, -0.67) for p in _bow((x, 0.02, 0.33, 0.16), 0, -180)]
    pen.polygon([*_bow((0, 0.02, 1, 0.9), 180, 360), *scallops], tones.main)
    for side in (-1, 1):
        pen.line([(0, -0.86), (side * 0.22, -0.5), (side * 0.33, 0)], 0.05, tones.ink)


def _cup(pen: Pen) -> None:
    tones = pen.tones
    pen.arc((0.5, 0.1, 0.48, 0.42), (-100, 100), 0.19, tones.ink)
    pen.arc((0.5, 0.1, 0.43, 0.37), (-100, 100), 0.1, tones.main)
    pen.polygon([(-0.8, -0.45), (0.55, -0.45), (0.42, 0.9), (-0.67, 0.9)], tones.main)
    pen.ellipse(-0.125, -0.45, 0.68, 0.19, tones.dark)
    for x in (-0.35, 0.1):
        pen.line([(x, -0.72), (x + 0.1, -0.82), (x, -0.92), (x + 0.1, -1)], 0.06, tones.ink)


_PUFFS = (
    (-0.52, 0.18, 0.46, 0.4),
    (0.52, 0.2, 0.46, 0.38),
    (-0.12, -0.22, 0.5, 0.48),
    (0.3, -0.02, 0.42, 0.4),
    (0, 0.26, 0.6, 0.34),
)


def _cloud(pen: Pen) -> None:
    for x, y, rx, ry in _PUFFS:
        pen.ellipse(x, y, rx, ry, pen.tones.main)
    for x, y, rx, ry in _PUFFS:  # over the outlines inside
        pen.spot(x, y, rx - 0.06, ry - 0.06, pen.tones.main)


def _balloon(pen: Pen) -> None:
    tones = pen.tones
    string = [(0.07 * math.sin(i * 0.8), 0.5 + i * 0.05) for i in range(11)]
    pen.line(string, 0.05, tones.ink)
    pen.polygon([(0, 0.36), (0.14, 0.56), (-0.14, 0.56)], tones.main)
    pen.ellipse(0, -0.3, 0.6, 0.7, tones.main)
    pen.spot(-0.24, -0.56, 0.1, 0.18, tones.light)


def _crown(pen: Pen) -> None:
    tones = pen.tones
    spikes = [(-0.95, -0.5), (-0.48, 0.05), (0, -0.72), (0.48, 0.05), (0.95, -0.5)]
    pen.polygon([(-0.75, 0.75), *spikes, (0.75, 0.75)], tones.main)
    for x, y in spikes[::2]:
        pen.ellipse(x * 0.94, y, 0.15, 0.15, tones.light)
    pen.box(-0.75, 0.45, 0.75, 0.75, tones.dark)


def _key(pen: Pen) -> None:
    tones = pen.tones
    pen.box(-0.2, -0.11, 1, 0.11, tones.main)
    pen.box(0.48, 0.08, 0.64, 0.46, tones.main)
    pen.box(0.8, 0.08, 0.98, 0.54, tones.main)
    pen.arc((-0.52, 0, 0.5, 0.5), (0, 360), 0.27, tones.ink)
    pen.arc((-0.52, 0, 0.445, 0.445), (0, 360), 0.16, tones.main)


def _rocket(pen: Pen) -> None:
    tones = pen.tones
    pen.patch([(-0.22, 0.6), (0.22, 0.6), (0, 1.08)], (255, 170, 40))
    for side in (-1, 1):
        pen.polygon([(side * 0.3, 0.1), (side * 0.7, 0.75), (side * 0.25, 0.6)], tones.dark)
    nose = [*_bow((0.36, 0, 0.76, 1), 180, 242), *_bow((-0.36, 0, 0.76, 1), 298, 360)]
    pen.polygon([(-0.28, 0.65), *nose, (0.28, 0.65)], tones.main)
    pen.ellipse(0, -0.15, 0.18, 0.18, tones.light)


_DRAWINGS: dict[Thing, Callable[[Pen], None]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "arrow": _arrow,
    "house": _house,
    "tree": _tree,
    "flower": _flower,
    "car": _car,
    "boat": _boat,
    "fish": _fish,
    "cat": _cat,
    "smiley face": _smiley,
    "sun": _sun,
    "mushroom": _mushroom,
    "umbrella": _umbrella,
    "cup": _cup,
    "cloud": _cloud,
    "balloon": _balloon,
    "crown": _crown,
    "key": _key,
    "rocket": _rocket,
}
