"""The service: REST and a page over opened collections, read-only.

`make_app` returns an ASGI application; `serve` runs it until a signal ends it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairdex.service.app import make_app
    from pairdex.service.policy import Policy
    from pairdex.service.reverse_proxy import ReverseProxy
    from pairdex.service.server import serve

__all__ = ["Policy", "ReverseProxy", "make_app", "serve"]

# A name is imported when it is first used: `pairdex --help` does not wait for a web framework.
_MODULES = {
    "Policy": "pairdex.service.policy",
    "ReverseProxy": "pairdex.service.reverse_proxy",
    "make_app": "pairdex.service.app",
    "serve": "pairdex.service.server",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
