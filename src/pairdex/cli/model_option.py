"""Where the command line looks for models by name: the cache of the user."""

from __future__ import annotations

import os
from pathlib import Path

from pairdex.encoders.known_models import cached_model

__all__ = ["model_cache", "model_place"]


def model_cache() -> Path:
    """Return the folder of exported models: `PAIRDEX_MODELS`, or `pairdex/models` in the XDG cache."""
    named = os.environ.get("PAIRDEX_MODELS")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pairdex" / "models"


def model_place(name: str) -> str | Path:
    """Return the folder of a model that is given by folder, or by the name of a published one."""
    return cached_model(name, model_cache())
