"""Following a folder of pictures: a run whenever something in it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from watchfiles import watch

__all__ = ["changes_of"]

# Copying a card takes a while: changes are collected until it has been quiet for the step, or at most
# for the longest wait.
_QUIET_MS, _LONGEST_MS = 500, 10_000
_TURN_MS = 2_000
# Some disks report nothing, as those of other machines: they are looked at every ten minutes.
_TURNS_BETWEEN_LOOKS = 300


def changes_of(folder: Path, linked: Callable[[], Sequence[str]], stop: Event) -> Iterator[None]:
    """Yield whenever something in a folder, or a folder that it links to, has changed; until `stop`.

    It yields once when it has begun to watch: what changed before is not reported by the system.
    """
    while not stop.is_set():
        places = _places(folder, linked)
        turns = watch(
            *places,
            watch_filter=None,
            debounce=_LONGEST_MS,
            step=_QUIET_MS,
            stop_event=stop,
            rust_timeout=_TURN_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for turn, changes in enumerate(turns):
            if changes or turn % _TURNS_BETWEEN_LOOKS == 0:
                yield
                if _places(folder, linked) != places:
                    break  # another folder is linked now


def _places(folder: Path, linked: Callable[[], Sequence[str]]) -> list[str]:
    return [str(folder), *(place for place in linked() if Path(place).is_dir())]
