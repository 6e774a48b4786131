"""The processor time of this process; peers without pairdex use it too."""

from __future__ import annotations

import resource


def processor_seconds() -> float:
    """Return the user and system time of all threads so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
