"""What has changed in a folder of pictures: new, edited, moved and vanished ones.

A picture whose size, time of change, inode and captions are as they were is not opened. One that is
not is known by its content: it was only touched, it was moved here from elsewhere, or it is another.
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

# A file that is written twice within the clock's step keeps its size and time: one that was changed
# this shortly before it was looked at is read again the next time. FAT counts in steps of 2 s.
_CLOCK_STEP_NS = 2_000_000_000


@dataclass
class Changes:
    """What to do so that a collection follows its folder.

    Attributes
    ----------
    known
        The pictures that stay, as they are known now, by name; also those that cannot be read.
    moved
        The new name of rows, by id.
    vanished
        The ids of pictures that are gone.
    new
        The pictures to encode, in natural order, with what is known of them so far.
    replaced
        The old id of pictures that are `new` since they were edited, by name.
    failures
        What cannot be read, without an attempt: by name, with the reason.
    absent
        Pictures that a table of captions names, but that are not there.
    said
        What is said of the `new` pictures.
    unreachable
        How many pictures lie in folders that cannot be looked at now; they stay.
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
        """How many pictures of the collection stay where they are."""
        return sum(one.id >= 0 for one in self.known.values()) - len(self.moved)


def compare(content: FolderContent, state: PhotoState, *, now_ns: int) -> Changes:
    """Compare a folder with what was known of it.

    Parameters
    ----------
    now_ns
        The time at which the folder was looked at, in nanoseconds since 1970.
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
    """Return the pictures that are there as far as their stamps tell, and which of them differ."""
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
    """Return what the tables of captions say of a picture."""
    table = content.table
    if name not in table.captions:
        return ""
    return repr((table.captions[name], table.several.get(name), table.values[name]))


def _vanished(
    content: FolderContent, state: PhotoState, there: Mapping[str, Known], changes: Changes
) -> dict[str, Known]:
    """Return the pictures that are gone; those in folders that cannot be looked at stay."""
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
    """Return a picture with the checksums of what is said of it, and a time that can be relied on."""
    is_settled = known.mtime_ns < now_ns - _CLOCK_STEP_NS
    told = {key: value for key, value in said.values.items() if value not in (None, "")}
    values = json.dumps(told, sort_keys=True, default=str)
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
    is_lost = 0 in sizes  # the state was lost: rows do not know the sizes of their pictures
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
    """Whether bytes, caption and further values are those of before."""
    same_values = before.values in ("", now.values)  # empty where the state was lost
    return content == before.content and before.caption == now.caption and same_values


def _hashed(content: FolderContent, names: Iterable[str]) -> dict[str, str]:
    """Return the checksums of files, without those that cannot be read."""

    def checksum(name: str) -> str | None:
        try:
            return checksums.of_file(content.root / name)
        except OSError:
            return None

    listed = list(names)
    with ThreadPoolExecutor(usable_processors()) as pool:
        found = zip(listed, pool.map(checksum, listed), strict=True)
        return {name: one for name, one in found if one is not None}
