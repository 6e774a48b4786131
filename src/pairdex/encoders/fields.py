"""Read and check the fields of a JSON object; errors name file and field."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NoReturn, TypeVar

from pairdex.errors import DamagedFile

__all__ = ["Fields"]

Choice = TypeVar("Choice", bound=str)


class Fields:
    """The fields of one object in the JSON file `path`.

    Raises
    ------
    DamagedFile
        From every method, if the field is missing or has another type.
    """

    def __init__(self, path: Path, content: object, *, prefix: str = "") -> None:
        self._path = path
        self._prefix = prefix
        if not isinstance(content, dict):
            raise DamagedFile(f"{path}: {prefix.rstrip('.') or 'the content'} is not a JSON object")
        self._content: dict[str, object] = content

    def inner(self, name: str) -> Fields:
        """Return the object under `name`."""
        return Fields(self._path, self._value(name), prefix=f"{self._prefix}{name}.")

    def string(self, name: str) -> str:
        """Return a text that is not empty."""
        value = self._value(name)
        if not isinstance(value, str) or not value:
            self._refuse(name, value, "a text")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty if the field is missing."""
        value = self._content.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._refuse(name, value, "a list of texts")
        return tuple(value)

    def integer(self, name: str, *, least: int) -> int:
        """Return an integer of at least `least`."""
        value = self._value(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self._refuse(name, value, f"an integer of at least {least}")
        return value

    def optional_integer(self, name: str, *, least: int) -> int | None:
        """Return an integer of at least `least`, or None if the field is null."""
        return None if self._value(name) is None else self.integer(name, least=least)

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        """Return one of the `choices`."""
        value = self._value(name)
        for choice in choices:
            if value == choice:
                return choice
        self._refuse(name, value, " or ".join(choices))

    def optional_choice(self, name: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
        """Return one of the `choices`; the default if the field is missing."""
        return self.choice(name, choices) if name in self._content else default

    def triple(self, name: str, *, positive: bool = False) -> tuple[float, float, float]:
        """Return three finite numbers, one for each of red, green and blue."""
        value = self._value(name)
        numbers = [x for x in value if _is_finite(x)] if isinstance(value, list) else []
        if len(numbers) != 3 or (positive and min(numbers) <= 0):
            self._refuse(name, value, f"three {'positive ' if positive else ''}numbers")
        red, green, blue = map(float, numbers)
        return red, green, blue

    def _value(self, name: str) -> object:
        if name not in self._content:
            raise DamagedFile(f"{self._path} lacks the field {self._prefix}{name}")
        return self._content[name]

    def _refuse(self, name: str, value: object, expected: str) -> NoReturn:
        shown = repr(value)[:60]
        raise DamagedFile(f"{self._path}: {self._prefix}{name} is {shown}, expected {expected}")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
