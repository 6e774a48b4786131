"""JSON as dataclasses: what fits is made, what does not is said with its place."""

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import pytest

from pairdex.files.typed_json import typed


class Model(TypedDict):
    name: str
    dim: int


@dataclass(frozen=True)
class File:
    path: str
    bytes: int


@dataclass(frozen=True)
class Part:
    kind: Literal["image", "text"]
    files: dict[str, File]
    names: list[str] = field(default_factory=list)
    share: float = 0.5
    model: Model | None = None
    rule: dict[str, Any] = field(default_factory=dict)
    whole: bool = True
    linked: tuple[str, ...] = ()


def test_what_fits_becomes_the_dataclass():
    part = typed(
        Part,
        {
            "kind": "text",
            "files": {"a": {"path": "x", "bytes": 3}},
            "names": ["ü"],
            "share": 1,
            "model": {"name": "m", "dim": 4},
            "rule": {"any": [None, {}]},
            "linked": ["a", "b"],
        },
    )
    assert part == Part(
        "text",
        {"a": File("x", 3)},
        ["ü"],
        1.0,
        {"name": "m", "dim": 4},
        {"any": [None, {}]},
        linked=("a", "b"),
    )
    assert typed(Part, {"kind": "image", "files": {}, "model": None}) == Part("image", {})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "sound"}, r"it\.kind is 'sound', expected"),
        ({"files": []}, r"it\.files is '\[\]', expected"),
        ({"files": {"a": {"path": "x"}}}, r"it\.files\.a has no 'bytes'"),
        (
            {"files": {"a": {"path": "x", "bytes": True}}},
            r"it\.files\.a\.bytes is 'True', expected int",
        ),
        ({"files": {"a": {"path": "x", "bytes": 1.0}}}, r"bytes is '1\.0', expected int"),
        ({"files": {"a": {"path": "x", "bytes": 2**63}}}, "expected int"),
        ({"files": {"a": {"path": None, "bytes": 1}}}, r"path is 'None', expected str"),
        ({"files": {"a": None}}, r"it\.files\.a is 'None', expected an object"),
        ({"names": ["a", 1]}, r"it\.names\[1\] is '1', expected str"),
        ({"names": ["\ud800"]}, r"it\.names\[0\] is .*, expected str"),
        ({"share": "x"}, r"it\.share is 'x', expected float"),
        ({"share": 10**400}, r"it\.share is .*, expected float"),
        ({"model": {"name": "m"}}, r"it\.model has no 'dim'"),
        ({"model": {"name": "m", "dim": 4, "x": 1}}, r"it\.model has unknown 'x'"),
        ({"whole": 1}, r"it\.whole is '1', expected bool"),
        ({"linked": ["a", 1]}, r"it\.linked\[1\] is '1', expected str"),
        ({"more": 1}, "it has unknown 'more'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(changed, message):
    with pytest.raises(ValueError, match=message):
        typed(Part, {"kind": "text", "files": {}} | changed)
