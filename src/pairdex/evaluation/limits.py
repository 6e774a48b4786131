"""The limits under which an adapter runs: processors and memory, by a control group where that is allowed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits", "control_group"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_PERIOD = 100_000  # microseconds of cpu.max


@dataclass(frozen=True)
class Limits:
    """The limits of an adapter's process.

    Attributes
    ----------
    cpus
        Number of processors; None: all of this process.
    memory_bytes
        Memory that it may use; None: no limit.
    python
        The interpreter that runs it; None: this one.
    """

    cpus: int | None = None
    memory_bytes: int | None = None
    python: Path | None = None


@contextmanager
def control_group(limits: Limits) -> Iterator[Path | None]:
    """Yield a control group with the limits, as containers have; None if none may be made.

    Control groups (version 2) limit the whole process with its page cache, as `docker run --memory` does.
    Without one, the caller limits what the process allocates.
    """
    group = None if limits.memory_bytes is None else _make(limits)
    try:
        yield group
    finally:
        if group is not None:
            group.rmdir()


def _make(limits: Limits) -> Path | None:
    if not (_GROUPS / "cgroup.controllers").is_file() or not _OWN_GROUP.is_file():
        return None
    own = _OWN_GROUP.read_text().strip().rpartition(":")[2].lstrip("/")
    group = _GROUPS / own / f"pairdex-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        (group / "memory.max").write_text(str(limits.memory_bytes))
        if (group / "memory.swap.max").exists():
            (group / "memory.swap.max").write_text("0")
        if limits.cpus:
            (group / "cpu.max").write_text(f"{limits.cpus * _PERIOD} {_PERIOD}")
    except OSError:  # a group without these controllers
        group.rmdir()
        return None
    return group
