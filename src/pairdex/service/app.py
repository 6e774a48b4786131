"""Making the ASGI application of a service: routes, middleware and state, none of it global."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
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

from pairdex.files import faults
from pairdex.progress import Progress
from pairdex.service.access import check_hosts, check_token
from pairdex.service.atlas import Atlases
from pairdex.service.catalogue import Catalogue, Served, opened
from pairdex.service.duplicates import Duplicates
from pairdex.service.errors import install_handlers
from pairdex.service.fetching import Fetcher
from pairdex.service.guards import CheckHost, CheckToken, LimitBody, is_open
from pairdex.service.limits import FETCHERS
from pairdex.service.metrics import Metrics
from pairdex.service.policy import CLOSED, Policy
from pairdex.service.rate_limit import LimitRate
from pairdex.service.reloader import CollectionReloader
from pairdex.service.request_log import LogRequests
from pairdex.service.response_models import ErrorResponse
from pairdex.service.reverse_proxy import DIRECT, ReverseProxy, TrustProxies, UnderPrefix
from pairdex.service.routes import ROUTES, Route
from pairdex.service.searches import Searches
from pairdex.service.service_route import ServiceRoute
from pairdex.service.shared_metrics import WorkerFolder
from pairdex.service.workers import Workers
from pairdex.version import __version__

__all__ = ["LOOPBACK_HOSTS", "make_app"]

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")  # names of this machine

_logger = logging.getLogger("pairdex.service")
_PAGE = Path(__file__).parent / "page"


def make_app(
    collections: Served | Iterable[Served],
    *,
    token: str | None = None,
    hosts: Sequence[str] | None = LOOPBACK_HOSTS,
    policy: Policy = CLOSED,
    proxy: ReverseProxy = DIRECT,
    processes: WorkerFolder | None = None,
    progress: Progress | None = None,
) -> FastAPI:
    """Return the read-only service of collections as an ASGI application.

    While it runs, the process survives mapped files that are cut short (`faults.survive`).

    Parameters
    ----------
    collections
        One or more, opened or as paths; the first is the default.
    token
        Requests for data must carry it as `Authorization: Bearer TOKEN`.
    hosts
        Host names that the service answers to, without port; None for all.
    policy
        What is allowed beyond the defaults.
    proxy
        The reverse proxy in front of the service.
    processes
        Where several processes of one service share their counts; `serve` makes it.
    progress
        Called from another thread as (step, rows done, rows) while the service warms.

    Raises
    ------
    InvalidArgument
        No collection is given, the token is empty, or a host name is invalid.
    MissingFile, DamagedFile, UnsupportedFormat
        A path has no collection, a damaged one, or one of a newer format version.
    """
    check_token(token)
    check_hosts(hosts)
    catalogue, workers, fetchers = Catalogue(opened(collections)), Workers(), Workers(FETCHERS)
    metrics = Metrics(catalogue, processes)
    searches = Searches(workers, metrics)
    reloader = CollectionReloader(catalogue, searches, metrics, progress=progress)

    @asynccontextmanager
    async def at_work(_: FastAPI) -> AsyncIterator[None]:
        faults.survive()
        reading = asyncio.ensure_future(reloader.run())
        reading.add_done_callback(_log_failure)
        yield
        reading.cancel()
        await asyncio.wait([reading])
        workers.close()
        fetchers.close()
        app.state.duplicates.close()

    app = FastAPI(
        title="pairdex",
        version=__version__,
        description="Search collections of image-text pairs. Read-only.",
        docs_url=None,
        redoc_url=None,
        lifespan=at_work,
        middleware=_guards(metrics, token, hosts, policy, proxy),
    )
    app.state.catalogue, app.state.workers, app.state.metrics = catalogue, workers, metrics
    app.state.searches, app.state.reloader = searches, reloader
    app.state.fetcher, app.state.fetchers = Fetcher(policy.proxy_hosts), fetchers
    app.state.atlases = Atlases()
    app.state.duplicates = Duplicates(None if processes is None else processes.path / "duplicates")
    install_handlers(app)
    app.router.route_class = ServiceRoute
    for route in ROUTES:
        _add_route(app, route, with_token=token is not None and not is_open(route.path))
    app.add_route("/", _sends("index.html"), include_in_schema=False)
    app.add_route("/docs", _sends("docs.html"), include_in_schema=False)
    app.mount("/page", StaticFiles(directory=_PAGE))
    return app


def _log_failure(reading: asyncio.Future[None]) -> None:
    """Log that the reloader has ended by a bug; the opened collections are still served."""
    error = None if reading.cancelled() else reading.exception()
    if error is not None:
        _logger.error("changes of collections are not noticed any more", exc_info=error)


def _guards(
    metrics: Metrics,
    token: str | None,
    hosts: Sequence[str] | None,
    policy: Policy,
    proxy: ReverseProxy,
) -> list[Middleware]:
    """Return the middleware, the outermost first."""
    guards = []
    if proxy.trusted:
        guards.append(Middleware(TrustProxies, trusted=proxy.trusted))
    if proxy.root_path:
        guards.append(Middleware(UnderPrefix, root_path=proxy.root_path))
    guards += [Middleware(LogRequests, metrics=metrics), Middleware(CheckHost, hosts=hosts)]
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
        dependencies=[Depends(HTTPBearer(auto_error=False))]
        if with_token
        else [],  # for OpenAPI only
        response_model=route.model,
        response_class=Response,
        responses={
            200: ok if route.model is None else {"model": route.model},
            "4XX": {"model": ErrorResponse},
            "503": {"model": ErrorResponse},
        },
        operation_id=route.function.__name__,
        openapi_extra=None if route.body is None else _takes(route.body),
        summary=(route.function.__doc__ or "").splitlines()[0],
    )


def _takes(body: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that a route parses itself to OpenAPI."""
    content = {"application/json": {"schema": body.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def _sends(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send_page(_: Request) -> Response:
        return FileResponse(_PAGE / name)

    return send_page
