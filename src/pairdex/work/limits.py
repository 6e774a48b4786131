"""Limits of this process that the operating system holds."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path
from typing import Literal

__all__ = ["limit_memory"]


def limit_memory(memory_bytes: int, kind: Literal["address space", "data"]) -> None:
    """Let this process take that much more memory than it has, and no more.

    Where the system has no such limit (macOS) nothing is limited.

    Parameters
    ----------
    kind
        `address space` counts everything; `data` leaves out files that are mapped to be read.
    """
    field, limited = {
        "address space": (0, resource.RLIMIT_AS),
        "data": (5, resource.RLIMIT_DATA),
    }[kind]
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[field])
        limit = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(limited, (limit, limit))
