"""Fixtures of sharing: a collection with derived data, a web server, retries without waiting."""

import shutil
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

import pairdex
from conftest import laion_columns, save_part, unit_rows
from fault_server import FaultServer
from pairdex.downloads.retry import Retry

NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)


@pytest.fixture
def server():
    world = FaultServer()
    yield world
    world.stop()


@pytest.fixture
def retry():
    """The default retry, but without waiting, and with few tries."""
    return Retry(attempts=3, sleep=lambda _: None, chance=lambda: 0.0)


@pytest.fixture(scope="session")
def rich_original(drawn, tmp_path_factory):
    """A collection with every kind of derived data that is quick to make; tests only copy it."""
    folder = tmp_path_factory.mktemp("rich") / "scenes"
    shutil.copytree(drawn, folder)
    with pairdex.open(folder) as opened:
        opened.prepare("image")
        opened.prepare_keywords()
        opened.find_urls([]) if "url" in opened.columns else None
    pairdex.project(folder, "pca32")
    (folder / "notes.txt").write_text("what nobody else should read")
    (folder / "indexes" / ".image.0.partial").write_bytes(b"left by a killed writer")
    return folder


@pytest.fixture
def rich(rich_original, tmp_path):
    """A copy of that collection, named scenes."""
    return shutil.copytree(rich_original, tmp_path / "scenes")


@pytest.fixture(scope="session")
def small_original(tmp_path_factory):
    """A collection of 60 rows in three parts, and the folder that it was pushed to; tests copy both."""
    root = tmp_path_factory.mktemp("small")
    for number, rows in enumerate((30, 10, 20)):
        image, text = (unit_rows(rows, 8, seed=2 * number + kind) for kind in (0, 1))
        save_part(root / "parts", number, image, text, laion_columns(number, rows))
    pairdex.build(root / "parts", root / "collection")
    pairdex.push(root / "collection", f"file://{root}/published")
    return root


@pytest.fixture
def collection(small_original, tmp_path):
    """A copy of the small collection."""
    return shutil.copytree(small_original / "collection", tmp_path / "collection")


@pytest.fixture
def published(small_original, collection, tmp_path):
    """The small collection, pushed to a folder: `collection`, `folder`, `url`, and `push()` again."""
    folder = shutil.copytree(small_original / "published", tmp_path / "published")
    url = f"file://{folder}"
    again = lambda: pairdex.push(collection, url)  # noqa: E731
    return SimpleNamespace(collection=collection, folder=folder, url=url, push=again)


def serve(server, folder):
    """Put all files of a folder on a web server and return the address."""
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            data = path.read_bytes()
            server.put(f"shared/{name}", data, etag=f'"{hash(data)}"')
    return f"{server.url}/shared"
