"""Watch a folder of pictures for changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from watchfiles import watch

__all__ = ["changes_of"]

# Copying a card takes a while: changes are collected until none occurs for the step, or until
# the longest wait has passed.
_QUIET_MS, _LONGEST_MS = 500, 10_000
_TURN_MS = 2_000
# Some disks, such as network disks, report no changes: they are scanned every ten minutes.
_TURNS_BETWEEN_LOOKS = 300


def changes_of(folder: Path, linked: Callable[[], Sequence[str]], stop: Event) -> Iterator[None]:
    """Yield whenever a folder, or a folder that it links to, has changed; until `stop`.

    Yields once at the start of watching: the system does not report earlier changes.
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
                    break  # the linked folders have changed


def _places(folder: Path, linked: Callable[[], Sequence[str]]) -> list[str]:
    return [str(folder), *(place for place in linked() if Path(place).is_dir())]
