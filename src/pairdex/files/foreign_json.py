"""Parsing JSON that others wrote: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse"]


def parse(data: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the value of a JSON document.

    Raises
    ------
    ValueError
        It is not JSON, or is nested deeper than Python can follow.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
