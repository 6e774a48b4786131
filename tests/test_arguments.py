"""Arguments of a wrong type are refused by name; numbers of NumPy are numbers."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pairdex.arguments import StrPath, as_array, checked
from pairdex.errors import InvalidArgument


@checked
def call(
    path: StrPath = ".",
    count: int = 1,
    share: float | None = None,
    flag: bool = False,
    names: Iterable[str] = (),
    form: Literal["a", "b"] = "a",
    progress: Callable[[int], None] | None = None,
):
    return path, count, share, flag, names


class Opened(os.PathLike):
    def __fspath__(self):
        return "/opened"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"path": ""}, "path is '', expected a path"),
        ({"path": None}, "path is None, expected a path"),
        ({"path": 3}, "path is 3, expected a path"),
        ({"path": b"x"}, "path is b'x', expected"),
        ({"path": "a\0b"}, "path is 'a.*b', expected"),
        ({"count": True}, "count is True, expected a whole number"),
        ({"count": 1.0}, r"count is 1\.0, expected a whole number"),
        ({"count": "1"}, "count is '1', expected a whole number"),
        ({"share": "x"}, "share is 'x', expected a number or None"),
        ({"share": False}, "share is False, expected a number or None"),
        ({"flag": 1}, "flag is 1, expected true or false"),
        ({"names": "abc"}, "names is 'abc', expected several of: a text"),
        ({"names": [1]}, r"names is \[1\], expected several of: a text"),
        ({"form": 7}, "form is 7, expected one of a, b"),
        ({"progress": 7}, "progress is 7, expected a function or None"),
        ({"count": "x" * 1000}, "count is 'x{59}…, expected"),
    ],
)
def test_a_wrong_type_is_refused_with_the_arguments_name(given, told):
    (name,) = given
    with pytest.raises(InvalidArgument, match=told) as caught:
        call(**given)
    assert caught.value.field == name
    order = ["path", "count", "share", "flag", "names", "form", "progress"]
    defaults = [".", 1, None, False, (), "a", None]
    positional = [given.get(name, value) for name, value in zip(order, defaults, strict=True)]
    with pytest.raises(InvalidArgument, match=told):
        call(*positional)


def test_numbers_of_numpy_become_pythons():
    found = call(Path("x"), np.int64(3), np.float32(0.5), np.True_, (n for n in ("a", "b")))
    assert found == (Path("x"), 3, 0.5, True, ["a", "b"])
    assert [type(value) for value in found[1:4]] == [int, float, bool]


def test_whatever_has_a_path_is_a_path():
    assert os.fspath(call(Opened())[0]) == "/opened"


def test_unknown_and_missing_arguments_stay_pythons_own_errors():
    with pytest.raises(TypeError, match="unexpected keyword argument 'nosuch'"):
        call(nosuch=1)
    with pytest.raises(TypeError, match="takes from 0 to 7 positional arguments"):
        call(*range(0), ".", 1, None, False, (), "a", None, 8)


@pytest.mark.parametrize("values", [{3: 1}.keys(), iter([3]), {3}, [3], np.array([3])])
def test_any_iterable_becomes_an_array(values):
    assert as_array(values, field="ids").tolist() == [3]


def test_what_is_no_array_is_refused_by_name():
    with pytest.raises(InvalidArgument, match="ids cannot become an array") as caught:
        as_array([[1, 2], [3]], field="ids")
    assert caught.value.field == "ids"
