"""Functions that do not have their own place yet."""

from pairdex.api.collections import verify

__all__ = ["verify"]
