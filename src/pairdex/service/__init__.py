"""The service: REST over opened collections, and the page that uses it; read-only."""

from pairdex.service.app import make_app
from pairdex.service.server import serve

__all__ = ["make_app", "serve"]
