"""Check arguments of public functions against annotations; errors name the argument."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import operator
import os
import types
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument

__all__ = ["StrPath", "as_array", "checked", "checked_class", "named"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

StrPath = str | os.PathLike[str]
"""A path. An opened `Collection` also counts as one."""

_MAX_INTEGER = 2**63 - 1  # largest int64
_SHOWN = 60  # characters of a refused value to show in an error

_Check = Callable[[Any], Any]
"""Returns the value to use, or raises _Refused."""


class _Refused(Exception):
    """The annotation does not allow the value."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that arguments of a wrong type raise InvalidArgument with their name.

    The annotations define the types. NumPy integers, floats and booleans become Python's. A boolean
    is not accepted as an integer. An iterable becomes a list. The function itself checks ranges.

    Examples
    --------
    >>> @checked
    ... def double(count: int) -> int:
    ...     return 2 * count
    >>> double(np.int16(4))
    8
    >>> double("4")
    Traceback (most recent call last):
    pairdex.errors.InvalidArgument: count is '4', expected a whole number
    """
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]

    @functools.cache
    def rules() -> dict[str, tuple[_Check, str]]:
        hints = get_type_hints(function)
        return {name: _rule(hints[name]) for name in names if name in hints}

    def convert(known: dict[str, tuple[_Check, str]], name: str, value: Any) -> Any:  # noqa: ANN401
        rule = known.get(name)
        return value if rule is None else named(name, value, *rule)  # None: `self`

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        known = rules()
        given = [convert(known, name, value) for name, value in zip(names, args, strict=False)]
        options = {name: convert(known, name, value) for name, value in kwargs.items()}
        return function(*given, *args[len(given) :], **options)  # type: ignore[arg-type]

    return call


def checked_class(cls: type[T]) -> type[T]:
    """Check the arguments of a class's constructor as `checked` does for a function."""
    cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]
    return cls


def named(name: str, value: Any, check: _Check, expected: str) -> Any:  # noqa: ANN401
    """Return the value from `check`; if it is refused, raise InvalidArgument with its name."""
    try:
        return check(value)
    except _Refused:
        raise InvalidArgument(
            f"{name} is {_shown(value)}, expected {expected}", field=name
        ) from None


def as_array(values: Any, *, field: str) -> NDArray[Any]:  # noqa: ANN401 - what NumPy understands
    """Convert an iterable, or any value that NumPy accepts, to an array.

    Raises
    ------
    InvalidArgument
        The rows have different lengths, or NumPy cannot hold the values. The error names `field`.
    """
    if isinstance(values, (Iterator, Set)) or type(values) is type({}.values()):
        values = list(values)
    try:
        array = np.asarray(values)
        # A column of lists, as pandas and Arrow have it, is an array of arrays.
        return np.stack(list(array)) if _is_column_of_lists(array) else array
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidArgument(f"{field} cannot become an array: {reason}", field=field) from error


def _is_column_of_lists(array: NDArray[Any]) -> bool:
    if array.dtype != object or array.ndim != 1 or not len(array):
        return False
    return all(hasattr(row, "shape") for row in array)


def _rule(hint: Any) -> tuple[_Check, str]:  # noqa: ANN401 - any annotation
    """Return the check for an annotation, and its description for errors."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, members = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        is_path = {*members} - {type(None)} == {str, os.PathLike[str]}
        rules = [_rule(os.PathLike[str] if is_path and each is str else each) for each in members]
        checks, words = zip(*rules, strict=True)
        if checks[-1:] == (_nothing,):  # most options are not given
            return functools.partial(_none_or, checks[:-1]), " or ".join(dict.fromkeys(words))
        return functools.partial(_any_of, checks), " or ".join(dict.fromkeys(words))
    if origin is Literal:
        return _text, f"one of {', '.join(map(str, members))}"
    if origin is None:
        return _class_rule(hint)
    return _generic_rule(origin, members)


def _generic_rule(origin: type, members: tuple[Any, ...]) -> tuple[_Check, str]:
    """Return the rule for `PathLike[str]`, `Callable[…]`, `Iterable[X]` and similar types."""
    if issubclass(origin, os.PathLike):
        return _path, "a path"
    if origin is collections.abc.Callable:  # type: ignore[comparison-overlap]
        return _callable, "a function"
    if issubclass(origin, Iterable) and len(members) == 1:
        check, words = _rule(members[0])
        return functools.partial(_list_of, check), f"several of: {words}"
    return _anything, "an array"


def _class_rule(hint: Any) -> tuple[_Check, str]:  # noqa: ANN401
    """Return the rule for a class of pairdex or Pillow; other annotations allow any value."""
    if isinstance(hint, type) and hint.__module__.split(".")[0] in ("pairdex", "PIL"):
        return functools.partial(_instance, hint), f"a {hint.__name__}"
    return _anything, "an array"


def _any_of(checks: Sequence[_Check], value: Any) -> Any:  # noqa: ANN401
    for check in checks:
        try:
            return check(value)
        except _Refused:  # noqa: PERF203 - two or three members
            continue
    raise _Refused


def _none_or(checks: Sequence[_Check], value: Any) -> Any:  # noqa: ANN401
    return None if value is None else _any_of(checks, value)


def _text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or "\0" in value:  # paths and texts cannot contain NUL
        raise _Refused
    return value


def _path(value: Any) -> Any:  # noqa: ANN401
    try:
        path = _text(os.fspath(value))
    except TypeError:
        raise _Refused from None
    if not path:  # it would be the current folder
        raise _Refused
    return value


def _integer(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise _Refused
    number = operator.index(value)
    if abs(number) > _MAX_INTEGER:
        raise _Refused
    return number


def _number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise _Refused
    try:
        return float(value)
    except OverflowError:
        raise _Refused from None


def _flag(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, (bool, np.bool_)):
        raise _Refused
    return bool(value)


def _nothing(value: Any) -> None:  # noqa: ANN401
    if value is not None:
        raise _Refused


def _anything(value: Any) -> Any:  # noqa: ANN401
    return value


def _callable(value: Any) -> Any:  # noqa: ANN401
    if not callable(value):
        raise _Refused
    return value


def _instance(kind: type, value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, kind):
        raise _Refused
    return value


def _list_of(check: _Check, value: Any) -> list[Any]:  # noqa: ANN401
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise _Refused
    if hasattr(value, "to_pylist"):  # Arrow, whose elements are not Python's
        value = value.to_pylist()
    return [check(each) for each in value]


_SIMPLE: dict[Any, tuple[_Check, str]] = {
    str: (_text, "a text"),
    int: (_integer, "a whole number"),
    float: (_number, "a number"),
    bool: (_flag, "true or false"),
    bytes: (functools.partial(_instance, bytes), "bytes"),
    type(None): (_nothing, "None"),
}


def _shown(value: Any) -> str:  # noqa: ANN401
    text = repr(value)
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}…"
    return " ".join(text.split())
