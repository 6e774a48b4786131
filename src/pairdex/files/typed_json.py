"""JSON as dataclasses, every value checked against the type that its field is annotated with.

A file may be sealed and yet forged: a checksum says that nobody changed it since, not that it makes sense.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Hashable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pairdex.files.boundary import reading

__all__ = ["sealed_record", "typed"]

Value = TypeVar("Value")
_LARGEST = 1 << 63  # of whole numbers: they count rows and bytes


def typed(kind: type[Value], value: object, where: str = "it") -> Value:
    """Return a value of JSON as a type: a dataclass, a list or dict of such, one or None, a plain value.

    Parameters
    ----------
    where
        What the value is called in messages.

    Raises
    ------
    ValueError
        It is of another type, has an unknown field, or lacks one.
    """
    made: Value = _as(kind, value, where)
    return made


def sealed_record(kind: type[Value], content: dict[str, Any], path: Path, *, advice: str) -> Value:
    """Return what a sealed file says as a dataclass; its further keys are passed over.

    Raises
    ------
    DamagedFile
        A field is absent, or of another type.
    """
    known = {name: content[name] for name in _hints(cast("Hashable", kind)) if name in content}
    with reading(path, advice=advice):
        return typed(kind, known, path.name)


def _as(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - a type, JSON, and one made of the other
    origin = get_origin(kind) or kind
    if origin in (Union, types.UnionType):
        (kind,) = (each for each in get_args(kind) if each is not type(None))  # `X | None` only
        return None if value is None else _as(kind, value, where)
    if origin in (list, tuple, dict):
        return _as_many(origin, kind, value, where)
    if is_dataclass(kind) or is_typeddict(kind):
        return _as_record(kind, value, where)
    if origin is Literal:
        return _checked(value in get_args(kind), value, kind, where)
    return value if kind is Any else _plain(kind, value, where)


def _as_many(origin: Any, kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    """Return a list, a dict, or a `tuple[X, ...]`, which is a list in JSON."""
    _checked(isinstance(value, dict if origin is dict else list), value, kind, where)
    inner = next((each for each in reversed(get_args(kind)) if each is not ...), Any)
    if origin is dict:
        return {key: _as(inner, item, f"{where}.{key}") for key, item in value.items()}
    return origin(_as(inner, item, f"{where}[{index}]") for index, item in enumerate(value))


def _as_record(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    _checked(isinstance(value, dict), value, "an object", where)
    hints = _hints(kind)
    unknown = sorted(value.keys() - hints.keys())
    absent = [name for name in _needed(kind) if name not in value]
    if unknown or absent:
        what = f"unknown {unknown[0]!r}" if unknown else f"no {absent[0]!r}"
        raise ValueError(f"{where} has {what}")
    made = {name: _as(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    return kind(**made)


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """Return the types of the fields; a manifest has thousands of records of one kind."""
    return get_type_hints(kind)


@functools.cache
def _needed(kind: Any) -> list[str]:  # noqa: ANN401
    if is_typeddict(kind):
        return sorted(kind.__required_keys__)
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def _plain(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < _LARGEST else value
    fits = type(value) is kind and not (kind is int and not -_LARGEST <= value < _LARGEST)
    if kind is str and fits and not value.isascii():
        fits = not any("\ud800" <= character <= "\udbff" for character in value)
    return _checked(fits, value, kind, where)


def _checked(fits: bool, value: Any, kind: Any, where: str) -> Any:  # noqa: ANN401
    if not fits:
        raise _wrong(value, _name(kind), where)
    return value


def _wrong(value: Any, expected: str, where: str) -> ValueError:  # noqa: ANN401
    return ValueError(f"{where} is {str(value)[:40]!r}, expected {expected}")


def _name(kind: Any) -> str:  # noqa: ANN401
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
