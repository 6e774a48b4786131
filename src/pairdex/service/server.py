"""Running the service on a socket, with a clean end at Ctrl-C."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import uvicorn

from pairdex.errors import InvalidArgument
from pairdex.progress import Progress
from pairdex.service.access import check_hosts, check_token
from pairdex.service.app import LOOPBACK_HOSTS, make_app
from pairdex.service.catalogue import Served, opened
from pairdex.service.cluster import ClusterOptions, ControlWatch, spread
from pairdex.service.http_protocol import LimitedHttpProtocol
from pairdex.service.limits import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    GRACE_SECONDS,
    MAX_REPLICAS,
    MAX_WORKERS,
)
from pairdex.service.listening import (
    is_loopback,
    listen,
    listen_on_file,
    remove_socket,
    url_host,
    url_of,
)
from pairdex.service.policy import CLOSED, Policy
from pairdex.service.reverse_proxy import DIRECT, UNIX, ReverseProxy
from pairdex.service.shared_metrics import WorkerFolder
from pairdex.service.worker import WorkerTask
from pairdex.service.worker_group import WorkerGroup

__all__ = ["run_task", "serve"]


def serve(
    collections: Served | Iterable[Served],
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    unix_socket: str | Path | None = None,
    token: str | None = None,
    hosts: Sequence[str] | None = None,
    policy: Policy = CLOSED,
    proxy: ReverseProxy = DIRECT,
    workers: int = 1,
    cluster: str | None = None,
    replicas: int = 1,
    configure: Callable[[], None] | None = None,
    ready: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve collections until a signal ends the service; Ctrl-C then raises KeyboardInterrupt.

    Parameters
    ----------
    collections
        One or more, opened or as paths; the first is the default.
    host, port
        Address to listen on; port 0 takes a free one.
    unix_socket
        Listen on this file instead of an address.
    token
        Requests for data must carry it as `Authorization: Bearer TOKEN`.
    hosts
        Host names that the service answers to. Default: the names of this machine if `host` is one
        of them, otherwise all.
    policy
        What is allowed beyond the defaults.
    proxy
        The reverse proxy in front of the service.
    workers
        Number of processes that answer. They share the socket and the mapped files.
    cluster
        Compare vectors on the nodes of this Ray cluster: host:port, or auto. One process then answers.
    replicas
        Number of nodes that hold each shard, with a cluster.
    configure
        Called first in each process, for example to set up its log. With several workers it must
        be picklable, and the program needs `if __name__ == "__main__"`.
    ready
        Called with the service's URL, or the path of its socket, once it answers. It may still be
        warming: see `/health`.
    progress
        Called from another thread as (step, rows done, rows) while the service warms.

    Raises
    ------
    InvalidArgument
        The address cannot be used, no collection is given, or another argument is invalid.
    MissingFile, DamagedFile, UnsupportedFormat
        A path has no collection, a damaged one, or one of a newer format version.
    MissingExtra
        Ray is not installed.
    ClusterFailed
        The cluster cannot be used, or its control process was lost.
    PairdexError
        A worker ended before it answered.
    """
    check_token(token)
    check_hosts(hosts)
    _check(workers, unix_socket, proxy)
    _check_cluster(cluster, replicas, workers)
    if configure is not None:
        configure()
    each = opened(collections)
    if hosts is None and unix_socket is None and is_loopback(host):
        hosts = sorted({*LOOPBACK_HOSTS, url_host(host)})
    known = None if hosts is None else tuple(hosts)
    task = WorkerTask(tuple(each), token, known, policy, proxy, configure)
    file = None if unix_socket is None else Path(unix_socket)
    listening = listen(host, port) if file is None else listen_on_file(file)
    url = url_of(listening, host) if file is None else str(file)

    def announce() -> None:
        if ready is not None:
            ready(url)

    try:
        if cluster is not None:
            _serve_from(ClusterOptions(cluster, replicas), task, listening, announce, progress)
        elif workers > 1:
            WorkerGroup(task, listening, workers).run(ready=announce, progress=progress)
        else:
            run_task(task, listening, ready=announce, progress=progress)
    finally:
        listening.close()
        if file is not None:
            remove_socket(file)


def _serve_from(
    cluster: ClusterOptions,
    task: WorkerTask,
    listening: socket.socket,
    ready: Callable[[], None],
    progress: Progress | None,
) -> None:
    """Serve with the vectors on a cluster, until a signal ends it or the control process is lost."""
    with spread(task.collections, cluster) as (collections, control):
        on_cluster = replace(task, collections=tuple(collections))
        run_task(on_cluster, listening, ready=ready, progress=progress, control=control)
        control.check()


def run_task(
    task: WorkerTask,
    listening: socket.socket,
    *,
    ready: Callable[[], None],
    processes: WorkerFolder | None = None,
    progress: Progress | None,
    control: ControlWatch | None = None,
) -> None:
    """Serve on a socket in this process until a signal ends it, then raise that signal again.

    Parameters
    ----------
    ready
        Called once it answers.
    processes
        The folder of the group that this process belongs to; None if it serves alone.
    progress
        Called from another thread as (step, rows done, rows) while the service warms.
    control
        The control process of the cluster that the service needs; serving ends if it is lost.
    """
    app = make_app(
        task.collections,
        token=task.token,
        hosts=task.hosts,
        policy=task.policy,
        proxy=task.proxy,
        processes=processes,
        progress=progress,
    )
    app.state.reloader.when_warm = _spare_what_stays
    config = uvicorn.Config(
        app,
        http=LimitedHttpProtocol,
        lifespan="on",
        log_config=None,  # `logs.log_to`, or the caller, configures it
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, ready=ready)
    if control is not None:
        control.start(lambda: setattr(server, "should_exit", True))
    server.run([listening])


def _check_cluster(cluster: str | None, replicas: int, workers: int) -> None:
    if cluster is None and replicas != 1:
        raise InvalidArgument("replicas are for a cluster; name one", field="replicas")
    if cluster is not None and workers > 1:
        raise InvalidArgument(
            "with a cluster, one process answers; start the command several times for more",
            field="workers",
        )
    if not 1 <= replicas <= MAX_REPLICAS:
        raise InvalidArgument(
            f"the number of replicas is {replicas}, expected 1 to {MAX_REPLICAS}", field="replicas"
        )


def _check(workers: int, unix_socket: str | Path | None, proxy: ReverseProxy) -> None:
    if not 1 <= workers <= MAX_WORKERS:
        raise InvalidArgument(
            f"the number of workers is {workers}, expected 1 to {MAX_WORKERS}", field="workers"
        )
    if unix_socket is None and UNIX in proxy.trusted:
        raise InvalidArgument(
            "the trusted proxy unix needs a Unix socket; give the proxy's address, such as 127.0.0.1",
            field="trusted",
        )
    if unix_socket is not None and set(proxy.trusted) - {UNIX}:
        raise InvalidArgument(
            "connections through a Unix socket have no address; the trusted proxy can only be unix",
            field="trusted",
        )


class _Server(uvicorn.Server):
    """Calls `ready` once it answers."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _spare_what_stays() -> None:
    """Exclude the objects made so far from garbage collection, which stops all requests.

    With 130,000 objects, mostly of modules, each full collection takes 80 ms.
    """
    gc.collect()
    gc.freeze()
