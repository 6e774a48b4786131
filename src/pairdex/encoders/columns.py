"""Further columns of samples: unique names, and a common type for values of many JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

__all__ = ["TAKEN", "JsonColumns", "Texts", "free_names", "nameless"]

# Columns that `encode` writes itself, besides those that the build adds.
TAKEN = frozenset(
    {"image_path", "caption", "width", "height", "similarity", "id", "distance", "part", "row"}
)

_TYPES = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "texts": pa.list_(pa.string()),
}
_INT64 = range(-(1 << 63), 1 << 63)


def nameless(names: Sequence[str]) -> list[str]:
    """Return the column names of a table; empty and repeated names are replaced by the position."""
    given = list[str]()
    for place, name in enumerate(names, 1):
        wanted = name or f"column_{place}"
        given.append(f"{wanted}_{place}" if wanted in given else wanted)
    return given


def free_names(
    names: Sequence[str],
    places: Sequence[int] | None = None,
    *,
    taken: Iterable[str] = TAKEN,
) -> tuple[str, ...]:
    """Return names that are non-empty, unique, and not reserved.

    Parameters
    ----------
    places
        The number of each column in its table, from 0, for those without a name.
    """
    used, free = set(taken), list[str]()
    for name, place in zip(names, places or range(len(names)), strict=True):
        wanted = name or f"column_{place + 1}"
        candidates = [wanted, f"source_{wanted}", f"source_{wanted}_{place + 1}"]
        chosen = next(one for one in candidates if one.lower() not in used)
        used.add(chosen.lower())
        free.append(chosen)
    return tuple(free)


class Texts(list[str]):
    """A list of texts that becomes a column of lists; lists of JSON become JSON."""


@dataclass
class JsonColumns:
    """The columns of a set of JSON objects, in order of the first occurrence of their keys.

    A key whose values are integers becomes int64, integers and other numbers float64, truth values
    bool; `Texts` become lists of texts; all other values become text, non-text ones as JSON.
    """

    kinds: dict[str, str]
    taken: frozenset[str] = TAKEN

    @classmethod
    def of(cls, objects: Iterable[Mapping[str, object]]) -> JsonColumns:
        """Return the columns of all `objects`."""
        columns = cls({})
        for one in objects:
            columns.see(one)
        return columns

    def see(self, values: Mapping[str, object]) -> None:
        """Add an object."""
        for key, value in values.items():
            self._merge(key, _kind(value))

    def join(self, other: JsonColumns) -> None:
        """Merge other columns."""
        for key, kind in other.kinds.items():
            self._merge(key, kind)

    @property
    def schema(self) -> pa.Schema:
        """Their unique names and types."""
        names = free_names(list(self.kinds), taken=self.taken)
        types = [_TYPES.get(kind, pa.string()) for kind in self.kinds.values()]
        return pa.schema(list(zip(names, types, strict=True)))

    def values(self, content: Mapping[str, object]) -> tuple[object, ...]:
        """Return an object's value for each column; None where it has none."""
        return tuple(_converted(content.get(key), kind) for key, kind in self.kinds.items())

    def _merge(self, key: str, kind: str) -> None:
        old = self.kinds.get(key, "null")
        if "null" in (old, kind):
            self.kinds[key] = old if kind == "null" else kind
        elif old != kind:
            self.kinds[key] = "float" if {old, kind} == {"int", "float"} else "text"


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value in _INT64 else "text"
    if isinstance(value, Texts):
        return "texts"
    return "float" if isinstance(value, float) else "text"


def _converted(value: object, kind: str) -> object:
    if value is None or kind in _TYPES:
        return value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
