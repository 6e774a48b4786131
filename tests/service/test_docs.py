"""docs/service.md says what is true: every route and limit, and examples that work."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from PIL import Image
from starlette.testclient import TestClient

import pairdex
from coroutines import run_to_end
from pairdex.encoders.pictures import MAX_PICTURE_PIXELS
from pairdex.encoders.text import MAX_TEXT_CHARS
from pairdex.errors import ServiceFailed
from pairdex.predicate import MAX_PREDICATE_CHARS
from pairdex.service import limits
from pairdex.service.limits import DEFAULT_PORT
from pairdex.service.routes import ROUTES
from places import DOCS

TEXT = (DOCS / "service.md").read_text("utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
]


def test_every_route_is_in_the_table():
    for route in ROUTES:
        assert f"`{route.method} {route.path}`" in TEXT, route.path


def test_every_limit_is_stated():
    rows = {
        name.strip(): value.strip()
        for name, value in re.findall(r"^\| (.*?) \| (.*?) \|$", TEXT.split("## Limits")[1], re.M)
    }
    assert (
        rows["body"] == f"{limits.MAX_BODY_BYTES:,} bytes, within {limits.BODY_SECONDS:.0f} seconds"
    )
    assert (
        rows["head"] == f"{limits.MAX_HEAD_BYTES:,} bytes, within {limits.HEAD_SECONDS:.0f} seconds"
    )
    assert rows["`k`"] == f"{limits.MAX_K:,}"
    assert rows["`offset` + `k`"] == f"{limits.MAX_DEPTH:,}"
    assert rows["ids of one request"] == f"{limits.MAX_IDS:,}"
    assert rows["text"] == f"{MAX_TEXT_CHARS:,} characters"
    assert rows["filter"] == f"{MAX_PREDICATE_CHARS:,} characters"
    assert rows["picture to search with"] == f"{MAX_PICTURE_PIXELS:,} pixels"
    assert rows["work"].startswith(f"{limits.WORKERS} batches of searches, or pictures, at once")
    assert rows["requests"] == f"{limits.MAX_IN_PROGRESS:,} being answered at once"
    assert f"up to {limits.MAX_BATCH} of them" in TEXT
    assert f"the last {limits.KEPT_TEXTS:,} texts" in TEXT
    assert f"{limits.WORK_SECONDS:.0f} seconds each" in rows["work"]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_an_example_works(client, words):
    assert words[:2] == ["curl", "-s"]
    address = urlsplit(f"http://{words[2]}")
    assert (address.hostname, address.port) == ("localhost", DEFAULT_PORT)
    body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
    path = f"{address.path}?{address.query}"
    response = client.get(path) if body is None else client.post(path, json=body)
    is_meant_to_fail = body is not None and "widht" in body.get("where", "")
    assert response.status_code == (422 if is_meant_to_fail else 200), response.text


SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT.split("## From Python")[1], re.M | re.S)
SERVE, MAKE_APP, CLIENT, ASYNC_CLIENT = SNIPPETS


@pytest.fixture
def demo(scenes, tmp_path):
    (tmp_path / "pairdex-demo").mkdir()
    (tmp_path / "pairdex-demo" / "collection").symlink_to(scenes)
    return tmp_path


@pytest.fixture
def served(demo):
    """The address of the example of `serve`."""
    program = SERVE.replace("port=8420", "port=0")
    assert program != SERVE
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, cwd=demo, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def test_the_example_of_serve_serves(served):
    with pairdex.Client(served, token="SECRET") as client:
        assert client.collections()[0]["rows"] == 200
    with pairdex.Client(served) as client, pytest.raises(ServiceFailed, match="token"):
        client.collections()


def test_the_examples_of_the_clients_run(served, demo, monkeypatch, capsys):
    monkeypatch.chdir(demo)
    Image.new("RGB", (64, 64), "red").save("car.jpg")
    for code in (CLIENT, ASYNC_CLIENT):
        with_token = code.replace("http://127.0.0.1:8420", served).replace("None", '"SECRET"')
        assert with_token.count("SECRET") == 1
        run_to_end(executed(with_token))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "{'a car': 3, 'a boat': 3}"
    assert (demo / "cars.parquet").stat().st_size > 1000


async def executed(code):
    """Run code in a thread without an event loop, as a script."""
    await asyncio.to_thread(exec, code, {})


def test_the_example_of_make_app_answers(demo, monkeypatch):
    monkeypatch.chdir(demo)
    names = {}
    exec(MAKE_APP, names)
    client = TestClient(names["app"], base_url="http://gallery.example")
    assert client.get("/indices-list").json() == ["scenes"]
    other = TestClient(names["app"], base_url="http://localhost")
    assert other.get("/indices-list").status_code == 421
