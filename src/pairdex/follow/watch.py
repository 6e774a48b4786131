"""Following a folder of pictures: a run whenever something in it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from watchfiles import watch

__all__ = ["changes_of"]

# Copying a card takes a while: changes are collected until it has been quiet for the step, or at most
# for the longest wait.
_QUIET_MS, _LONGEST_MS = 1_000, 10_000
# Some disks report nothing, as those of other machines: they are looked at every ten minutes.
_ANYWAY_MS = 600_000


def changes_of(folder: Path, linked: Callable[[], Sequence[str]], stop: Event) -> Iterator[None]:
    """Yield whenever something in a folder, or a folder that it links to, has changed; until `stop`."""
    while not stop.is_set():
        places = [str(folder), *(one for one in linked() if Path(one).is_dir())]
        for _ in watch(
            *places,
            watch_filter=None,
            debounce=_LONGEST_MS,
            step=_QUIET_MS,
            stop_event=stop,
            rust_timeout=_ANYWAY_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            yield
            if [str(folder), *linked()] != places:
                break  # another folder is linked now
