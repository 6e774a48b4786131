"""The application: collections in, a complete ASGI application out; nothing global."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.progress import Progress
from pairdex.service.atlas import Atlases
from pairdex.service.catalogue import Catalogue
from pairdex.service.errors import install_handlers
from pairdex.service.fast_json import FastRoute
from pairdex.service.fetching import Fetcher
from pairdex.service.guards import CheckHost, CheckToken, LimitBody, is_open
from pairdex.service.limits import FETCHERS
from pairdex.service.metrics import Metrics
from pairdex.service.policy import CLOSED, Policy
from pairdex.service.rate_limit import LimitRate
from pairdex.service.reloader import CollectionReloader
from pairdex.service.request_log import LogRequests
from pairdex.service.response_models import ErrorResponse
from pairdex.service.routes import ROUTES, Route
from pairdex.service.searches import Searches
from pairdex.service.workers import Workers
from pairdex.version import __version__

__all__ = ["LOOPBACK_HOSTS", "make_app"]

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")  # names of this machine to itself

_logger = logging.getLogger("pairdex.service")
_PAGE = Path(__file__).parent / "page"


def make_app(
    collections: Sequence[Collection],
    *,
    token: str | None = None,
    hosts: Sequence[str] | None = LOOPBACK_HOSTS,
    policy: Policy = CLOSED,
    progress: Progress | None = None,
) -> FastAPI:
    """Make the read-only service of some collections.

    Parameters
    ----------
    collections
        At least one; the first is the default.
    token
        What every request for data has to bring as `Authorization: Bearer TOKEN`.
    hosts
        Names that the service answers to, without port; None answers to all.
    policy
        What is allowed beyond the defaults.
    progress
        Called by another thread with what is being made, the rows done and the rows in all, while
        the service warms.

    Raises
    ------
    InvalidArgument
        No collection, or an empty token.
    """
    if token is not None and not token.strip():
        raise InvalidArgument("the token is empty; give one, or leave it out", field="token")
    catalogue, workers, fetchers = Catalogue(collections), Workers(), Workers(FETCHERS)
    metrics = Metrics(catalogue)
    searches = Searches(workers, metrics)
    reloader = CollectionReloader(catalogue, searches, metrics, progress=progress)

    @asynccontextmanager
    async def at_work(_: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.ensure_future(reloader.run())
        reading.add_done_callback(_tell_failure)
        yield
        reading.cancel()
        await asyncio.wait([reading])
        workers.close()
        fetchers.close()

    app = FastAPI(
        title="pairdex",
        version=__version__,
        description="Search collections of image-text pairs. Read-only.",
        docs_url=None,
        redoc_url=None,
        lifespan=at_work,
        middleware=_guards(metrics, token, hosts, policy),
    )
    app.state.catalogue, app.state.workers, app.state.metrics = catalogue, workers, metrics
    app.state.searches, app.state.reloader = searches, reloader
    app.state.fetcher, app.state.fetchers = Fetcher(policy.proxy_hosts), fetchers
    app.state.atlases = Atlases()
    install_handlers(app)
    app.router.route_class = FastRoute
    for route in ROUTES:
        _add_route(app, route, with_token=token is not None and not is_open(route.path))
    app.add_route("/", _sends("index.html"), include_in_schema=False)
    app.add_route("/docs", _sends("docs.html"), include_in_schema=False)
    app.mount("/page", StaticFiles(directory=_PAGE))
    return app


def _tell_failure(reading: asyncio.Future[None]) -> None:
    """Log that the readers have ended by a bug; what is open is served on."""
    error = None if reading.cancelled() else reading.exception()
    if error is not None:
        _logger.error("changed collections are noticed no more", exc_info=error)


def _guards(
    metrics: Metrics, token: str | None, hosts: Sequence[str] | None, policy: Policy
) -> list[Middleware]:
    """Return what a request passes, the outermost first."""
    guards = [Middleware(LogRequests, metrics=metrics)]
    if hosts is not None:
        guards.append(Middleware(CheckHost, hosts=hosts))
    if policy.cors:
        guards.append(
            Middleware(
                CORSMiddleware,
                allow_origins=policy.cors,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
                expose_headers=["Retry-After", "X-Request-ID"],
            )
        )
    if policy.rate is not None:
        guards.append(Middleware(LimitRate, rate=policy.rate))
    if token is not None:
        guards.append(Middleware(CheckToken, token=token))
    return [*guards, Middleware(LimitBody)]


def _add_route(app: FastAPI, route: Route, *, with_token: bool) -> None:
    ok: dict[str, Any] = {"content": {media: {} for media in route.media}}
    app.add_api_route(
        route.path,
        route.function,
        methods=[route.method],
        dependencies=[Depends(HTTPBearer(auto_error=False))] if with_token else [],  # tells OpenAPI
        response_model=route.model,
        response_class=Response,
        responses={
            200: ok if route.model is None else {"model": route.model},
            "4XX": {"model": ErrorResponse},
        },
        operation_id=route.function.__name__,
        openapi_extra=None if route.body is None else _takes(route.body),
        summary=(route.function.__doc__ or "").splitlines()[0],
    )


def _takes(body: type[BaseModel]) -> dict[str, Any]:
    """Tell OpenAPI of a body that a route reads by itself."""
    content = {"application/json": {"schema": body.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def _sends(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send_page(_: Request) -> Response:
        return FileResponse(_PAGE / name)

    return send_page
