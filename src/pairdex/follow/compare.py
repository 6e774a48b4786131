"""Compare a folder of pictures with its last state: new, edited, moved and vanished pictures.

A picture with unchanged size, modification time, inode and captions is not opened. Otherwise its
content shows whether it was only touched, moved, or replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from pairdex.encoders.folder import FolderContent, Said
from pairdex.files import checksums
from pairdex.store.photo_state import Known, PhotoState
from pairdex.work.processors import usable_processors

__all__ = ["Changes", "compare"]

# A file that is written twice within one clock step keeps its time: files changed this shortly
# before the scan are read again in the next run. FAT has steps of 2 s.
_CLOCK_STEP_NS = 2_000_000_000


@dataclass
class Changes:
    """The changes that bring a collection up to date with its folder.

    Attributes
    ----------
    known
        Current records of the pictures that stay, by name; including unreadable ones.
    moved
        The new names of moved rows, by id.
    vanished
        The ids of deleted pictures.
    new
        The pictures to encode, in natural order, with their records so far.
    replaced
        The old ids of edited pictures, which are also in `new`, by name.
    failures
        Entries that cannot be pictures, by name, with the reason; found without opening them.
    absent
        Pictures that a caption table names but that do not exist.
    said
        Captions and values of the `new` pictures.
    unreachable
        Number of pictures in folders that cannot be listed now; they stay.
    """

    known: dict[str, Known] = field(default_factory=dict)
    moved: dict[int, str] = field(default_factory=dict)
    vanished: list[int] = field(default_factory=list)
    new: dict[str, Known] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    said: dict[str, Said] = field(default_factory=dict)
    unreachable: int = 0

    @property
    def unchanged(self) -> int:
        """Number of pictures of the collection that are unchanged."""
        return sum(one.id >= 0 for one in self.known.values()) - len(self.moved)


def compare(content: FolderContent, state: PhotoState, *, now_ns: int) -> Changes:
    """Compare a folder with its last state.

    Parameters
    ----------
    now_ns
        Time of the scan of the folder, in nanoseconds since 1970.
    """
    changes = Changes()
    looked_at, touched = _by_stamps(content, state, changes)
    gone = _vanished(content, state, looked_at, changes)
    changes.said = content.said(touched)
    fresh = {
        name: _described(looked_at[name], changes.said[name], now_ns=now_ns) for name in touched
    }
    _by_content(content, state, changes, fresh, gone)
    changes.said = {name: changes.said[name] for name in changes.new}
    return changes


def _by_stamps(
    content: FolderContent, state: PhotoState, changes: Changes
) -> tuple[dict[str, Known], list[str]]:
    """Return the existing pictures by their stamps, and which of them differ."""
    there: dict[str, Known] = {}
    touched = []
    for name in content.names:
        stamp, *beside = content.stamps(name)
        reason = content.trouble(name)
        if reason:
            changes.failures[name] = reason
        elif stamp is None:
            changes.absent.append(name)
        if reason or stamp is None:
            continue
        line = _line(content, name)
        mark = checksums.of_bytes(repr((beside, line)).encode()) if beside or line else ""
        now = Known(*stamp, beside=mark, caption="", values="", content="", id=-1)
        there[name] = now
        before = state.pictures.get(name)
        if before is not None and _stamps(before) == _stamps(now):
            changes.known[name] = before
        else:
            touched.append(name)
    return there, touched


def _stamps(known: Known) -> tuple[object, ...]:
    return known.bytes, known.mtime_ns, known.inode, known.beside


def _line(content: FolderContent, name: str) -> str:
    """Return the captions and values of a picture from the tables."""
    table = content.table
    if name not in table.captions:
        return ""
    return repr((table.captions[name], table.several.get(name), table.values[name]))


def _vanished(
    content: FolderContent, state: PhotoState, there: Mapping[str, Known], changes: Changes
) -> dict[str, Known]:
    """Return the deleted pictures; pictures in folders that cannot be listed stay."""
    gone = {}
    closed = tuple(f"{name}/" for name in content.scan.closed)
    for name, known in state.pictures.items():
        if name in there:
            continue
        if closed and name.startswith(closed):
            changes.known[name] = known
            changes.unreachable += known.id >= 0
        elif known.id >= 0:
            gone[name] = known
    return gone


def _described(known: Known, said: Said, *, now_ns: int) -> Known:
    """Return a picture's record with checksums of its captions and values, and a reliable time."""
    is_settled = known.mtime_ns < now_ns - _CLOCK_STEP_NS
    filled = {key: value for key, value in said.values.items() if value not in (None, "")}
    values = json.dumps(filled, sort_keys=True, default=str)
    return replace(
        known,
        mtime_ns=known.mtime_ns if is_settled else 0,
        caption=checksums.of_bytes(said.caption.encode("utf-8", "surrogatepass")),
        values=checksums.of_bytes(values.encode("utf-8", "surrogatepass")),
    )


def _by_content(
    content: FolderContent,
    state: PhotoState,
    changes: Changes,
    fresh: Mapping[str, Known],
    gone: Mapping[str, Known],
) -> None:
    """Decide on the pictures whose stamps differ: touched, moved, edited or new."""
    before = {n: state.pictures[n] for n in fresh if state.pictures.get(n, _NEVER).id >= 0}
    sizes = {one.bytes for one in [*gone.values(), *before.values()]}
    is_lost = 0 in sizes  # the state was lost: rows do not record the sizes of their pictures
    asked = [name for name, one in fresh.items() if is_lost or one.bytes in sizes]
    checked = _hashed(content, asked)
    free = dict(gone)
    for name, one in before.items():
        if _is_same(one, fresh[name], checked.get(name)):
            changes.known[name] = replace(fresh[name], content=one.content, id=one.id)
        else:
            free[name] = one
    by_content: dict[str, list[str]] = {}
    for name, one in free.items():
        by_content.setdefault(one.content, []).append(name)
    for name, one in fresh.items():
        if name in changes.known:
            continue
        candidates = by_content.get(checked.get(name, ""), [])
        origin = next(
            (old for old in candidates if _is_same(free[old], one, free[old].content)), None
        )
        if origin is None:
            changes.new[name] = one
            continue
        candidates.remove(origin)
        moved = free.pop(origin)
        changes.known[name] = replace(one, content=moved.content, id=moved.id)
        changes.moved[moved.id] = name
    for name, one in free.items():
        if name in changes.new:
            changes.replaced[name] = one.id
        else:
            changes.vanished.append(one.id)


_NEVER = Known(0, 0, 0, "", "", "", "", -1)


def _is_same(before: Known, now: Known, content: str | None) -> bool:
    """Whether bytes, caption and further values are unchanged."""
    same_values = before.values in ("", now.values)  # empty if the state was lost
    return content == before.content and before.caption == now.caption and same_values


def _hashed(content: FolderContent, names: Iterable[str]) -> dict[str, str]:
    """Return the checksums of the readable files."""

    def checksum(name: str) -> str | None:
        try:
            return checksums.of_file(content.root / name)
        except OSError:
            return None

    listed = list(names)
    with ThreadPoolExecutor(usable_processors()) as pool:
        found = zip(listed, pool.map(checksum, listed), strict=True)
        return {name: one for name, one in found if one is not None}
