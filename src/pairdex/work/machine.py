"""What a measurement ran on: the machine, and the most memory that this process has used."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path

__all__ = ["machine", "peak_memory_bytes", "processor"]

_CPU_INFO = Path("/proc/cpuinfo")


def machine() -> str:
    """Return the processor, the number of processors and the memory of this machine, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()}"


def processor() -> str:
    """Return the model of the processor."""
    name = platform.processor() or platform.machine()
    if not _CPU_INFO.is_file():
        return name
    lines = _CPU_INFO.read_text(errors="replace").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, name)


def peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far, mapped files included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
