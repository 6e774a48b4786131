"""Draw outlined shapes in the coordinates of one thing: -1 to 1, x to the right, y down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

from pairdex.demo.vocabulary import Colour

__all__ = ["PAINTS", "Pen", "Point", "Rgb", "Tones", "tones_of"]

Rgb = tuple[int, int, int]
Point = tuple[float, float]

PAINTS: dict[Colour, Rgb] = {
    "red": (222, 42, 38),
    "orange": (246, 138, 26),
    "yellow": (250, 218, 44),
    "green": (46, 158, 66),
    "blue": (38, 98, 218),
    "purple": (128, 58, 178),
    "pink": (249, 142, 192),
    "brown": (128, 80, 42),
    "black": (34, 34, 38),
    "white": (250, 250, 250),
    "gray": (146, 149, 154),
}

_OUTLINE = 0.055  # width of an outline in the thing's coordinates


@dataclass(frozen=True)
class Tones:
    """The tones of a colour to draw a thing with; `ink` is for outlines and contrasts with `main`."""

    main: Rgb
    dark: Rgb
    light: Rgb
    ink: Rgb


def tones_of(colour: Colour, main: Rgb) -> Tones:
    """Return the tones for `main`, which is a shade of `colour`."""
    light = _mixed(main, (255, 255, 255), 0.6)
    if colour == "black":  # nothing is darker than black: its outline is lighter
        return Tones(main, (78, 78, 84), light, (120, 120, 128))
    if colour == "white":
        return Tones(main, (205, 205, 210), (255, 255, 255), (112, 112, 118))
    return Tones(main, _mixed(main, (0, 0, 0), 0.35), light, _mixed(main, (0, 0, 0), 0.62))


@dataclass(frozen=True)
class Pen:
    """Draws around the centre (x, y), in pixels; one unit is `radius` pixels."""

    draw: ImageDraw.ImageDraw
    x: float
    y: float
    radius: float
    tones: Tones

    def polygon(self, points: Sequence[Point], fill: Rgb) -> None:
        """Fill a polygon and outline it."""
        placed = self._placed(points)
        self.draw.polygon(placed, fill=fill)
        self.draw.line(
            [*placed, placed[0], placed[1]],
            fill=self.tones.ink,
            width=self._pixels(_OUTLINE),
            joint="curve",
        )

    def box(self, left: float, top: float, right: float, bottom: float, fill: Rgb) -> None:
        """Fill a rectangle and outline it."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Rgb) -> None:
        """Fill an ellipse around (x, y) and outline it."""
        self.draw.ellipse(
            self._box(x, y, rx, ry),
            fill=fill,
            outline=self.tones.ink,
            width=self._pixels(_OUTLINE),
        )

    def spot(self, x: float, y: float, rx: float, ry: float, fill: Rgb) -> None:
        """Fill an ellipse around (x, y) without an outline."""
        self.draw.ellipse(self._box(x, y, rx, ry), fill=fill)

    def patch(self, points: Sequence[Point], fill: Rgb) -> None:
        """Fill a polygon without an outline."""
        self.draw.polygon(self._placed(points), fill=fill)

    def line(self, points: Sequence[Point], width: float, fill: Rgb) -> None:
        """Draw a line; `width` is in the thing's coordinates."""
        self.draw.line(self._placed(points), fill=fill, width=self._pixels(width), joint="curve")

    def arc(
        self, box: tuple[float, float, float, float], degrees: Point, width: float, fill: Rgb
    ) -> None:
        """Draw an arc of the ellipse (x, y, rx, ry); angles are in degrees, clockwise from the right."""
        placed = self._box(*box)
        self.draw.arc(placed, degrees[0], degrees[1], fill=fill, width=self._pixels(width))

    def _pixels(self, length: float) -> int:
        return max(1, round(length * self.radius))

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        return [(self.x + px * self.radius, self.y + py * self.radius) for px, py in points]

    def _box(self, x: float, y: float, rx: float, ry: float) -> list[Point]:
        return self._placed([(x - rx, y - ry), (x + rx, y + ry)])


def _mixed(colour: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
