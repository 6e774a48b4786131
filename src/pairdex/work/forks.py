"""Objects that hold threads and locks, in a process that was forked: they begin again there."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["begin_again_after_fork"]


class _Restarting(Protocol):
    def begin(self) -> None:
        """Forget all threads and locks."""


_known: weakref.WeakSet[_Restarting] = weakref.WeakSet()


def begin_again_after_fork(one: _Restarting) -> None:
    """Have `one.begin()` called in every forked process, whose copy of a lock may be held by no thread there."""
    _known.add(one)


def _begin_all() -> None:
    for one in list(_known):
        one.begin()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_begin_all)
