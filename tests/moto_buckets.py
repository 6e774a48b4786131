"""An S3 server on the loopback (moto), and the environment that leads to it."""

import itertools
from types import SimpleNamespace

import httpx
import pytest

KEY = "loopback-secret-key"
_numbers = itertools.count()


def start_server():
    """Start the server, or skip; return it and its address."""
    pytest.importorskip("obstore", reason="needs obstore (pip install 'pairdex[remote]')")
    moto = pytest.importorskip("moto.server", reason="needs moto")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    return server, "http://{}:{}".format(*server.get_host_and_port())


def new_bucket(endpoint, monkeypatch):
    """Make a bucket and set the environment; return its name, its address and an obstore store."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    name = f"bucket{next(_numbers)}"
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    from obstore.store import S3Store

    store = S3Store(name, client_options={"allow_http": True})
    return SimpleNamespace(name=name, url=f"s3://{name}", store=store, endpoint=endpoint)
