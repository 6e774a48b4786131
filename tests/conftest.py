"""Shared fixtures: small parts in every layout, collections built from them, and the command line."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moto_buckets import new_bucket, start_server
from pairdex.store.build import BuildOptions, build_collection
from pairdex.store.plan import Selection
from places import DATA

# Before huggingface_hub is imported: loopback hubs have no Xet, and nobody is told of test runs.
os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

TAGS = ("UNLIKELY", "UNSURE", "NSFW", None)

# Paths of a part's files in each layout; `i` is the part's number.
LAYOUTS = {
    "flat": ("img_emb_{i}.npy", "text_emb_{i}.npy", "metadata_{i}.parquet"),
    "laion400m": (
        "img_emb/img_emb_{i}.npy",
        "text_emb/text_emb_{i}.npy",
        "metadata/metadata_{i}.parquet",
    ),
    "laion2b": (
        "img_emb/img_emb_{i:04d}.npy",
        "text_emb/text_emb_{i:04d}.npy",
        "laion2B-en-metadata/metadata_{i:04d}.parquet",
    ),
    "clip-retrieval": (
        "img_emb/img_emb_{i:02d}.npy",
        "text_emb/text_emb_{i:02d}.npy",
        "metadata/metadata_{i:02d}.parquet",
    ),
}


def pytest_addoption(parser):
    """Add the options of `tests/campaigns`: their length and their seed."""
    parser.addoption(
        "--rounds",
        type=int,
        default=45,
        help="Number of damaged copies of each file in tests/campaigns.",
    )
    parser.addoption("--seed", type=int, default=1, help="Random seed of tests/campaigns.")


def unit_rows(rows, dim, seed):
    """Random unit vectors, shape (rows, dim), float16."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def laion_columns(number, rows):
    """Metadata with the columns of LAION-400M; the NSFW tags cycle through TAGS."""
    return {
        "url": [f"https://example.org/{number}/{row}.jpg" for row in range(rows)],
        "caption": [f"caption {row} of part {number}" for row in range(rows)],
        "NSFW": [TAGS[row % 4] for row in range(rows)],
        "similarity": [0.3 + row / 1000 for row in range(rows)],
        "LICENSE": ["?"] * rows,
        "width": pa.array([100 + row for row in range(rows)], pa.int32()),
        "height": pa.array([50 + row for row in range(rows)], pa.int32()),
    }


def save_part(folder, number, image, text, columns, layout="flat"):
    """Write one part; `text` may be None, `columns` is a dictionary or a table."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    if layout == "datacomp":
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "b32_img": image[:, :4],
            "b32_txt": text[:, :4],
            "l14_img": image,
            "l14_txt": text,
        }
        np.savez(folder / f"{number:032x}.npz", **arrays)
        pq.write_table(table, folder / f"{number:032x}.parquet")
        return
    for name, content in zip(LAYOUTS[layout], (image, text, table), strict=True):
        path = folder / name.format(i=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        elif content is not None:
            np.save(path, content)


@pytest.fixture
def write_part():
    """The function that writes one part: (folder, number, image, text, columns, layout)."""
    return save_part


@pytest.fixture
def make_parts(tmp_path):
    """A function that writes parts with the given numbers of rows and returns their folder."""

    def make(
        *rows, folder="parts", numbers=None, dim=8, text=True, layout="flat", columns=laion_columns
    ):
        source = tmp_path / folder
        for number, count in zip(numbers or range(len(rows)), rows, strict=True):
            image = unit_rows(count, dim, seed=2 * number)
            texts = unit_rows(count, dim, seed=2 * number + 1) if text else None
            table = columns(number, count) if callable(columns) else columns
            save_part(source, number, image, texts, table, layout)
        return source

    return make


@pytest.fixture
def build():
    """A function that builds a collection with what Selection and BuildOptions take."""

    def run(source, collection, *, model=None, progress=None, now=None, **wanted):
        options = {field.name for field in fields(BuildOptions)}
        return build_collection(
            source,
            collection,
            selection=Selection(**{k: v for k, v in wanted.items() if k not in options}),
            model=model,
            options=BuildOptions(**{k: v for k, v in wanted.items() if k in options}),
            now=now,
            progress=progress,
        )

    return run


@pytest.fixture
def collection(make_parts, build, tmp_path):
    """A collection of 60 rows in three unequal parts, with image and text vectors of 8 dimensions."""
    build(make_parts(30, 10, 20), tmp_path / "collection")
    return tmp_path / "collection"


def read_tree(folder):
    """The content of every file below a folder, by path; None for folders."""
    paths = sorted(Path(folder).rglob("*"))
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in paths
    }


@pytest.fixture
def tree():
    """The function that reads a whole folder, for comparisons."""
    return read_tree


@dataclass
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def complaint(self):
        """The error message of a failed command: one line on stderr, without the prefix."""
        assert self.status == 1, (self.out, self.err)
        assert "Traceback" not in self.err
        assert self.err.endswith("\n")
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.startswith("pairdex: ")
        return self.err.removeprefix("pairdex: ").removesuffix("\n")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: `run("build", source, collection)`."""
    from pairdex.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["pairdex", *map(str, arguments)])
        before = signal.getsignal(signal.SIGINT)
        capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGINT, before)
        captured = capsys.readouterr()
        return Outcome(ended.value.code or 0, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def real_data():
    """The folder of real vectors and pairs next to the repository."""
    if not DATA.is_dir():
        pytest.skip("../shared/data is absent: there are no real vectors to test with")
    return DATA


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory):
    """A function that starts the embedded engine behind loopback HTTP and returns its address."""
    for name in ("chdb", "clickhouse_connect"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is absent: pip install 'pairdex[clickhouse]'")
    servers = []

    def start(*options):
        folder = tmp_path_factory.mktemp("clickhouse") / "db"
        script = Path(__file__).with_name("clickhouse_front.py")
        command = [sys.executable, script, folder, *options]
        servers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return servers[-1].stdout.readline().strip()

    yield start
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="session")
def clickhouse_url(clickhouse_server):
    """The address of a server that tests share; each test uses its own table."""
    return clickhouse_server()


@pytest.fixture
def clickhouse_query():
    """A function that sends a query to a server and returns the rows."""
    import clickhouse_connect

    clients = {}

    def query(url, sql, **parameters):
        if url not in clients:
            parts = urlsplit(url)
            clients[url] = clickhouse_connect.get_client(host=parts.hostname, port=parts.port)
        return clients[url].query(sql, parameters=parameters).result_rows

    yield query
    for client in clients.values():
        client.close()


@pytest.fixture(scope="session")
def s3_endpoint():
    """The address of an S3 server on the loopback; tests use buckets of their own."""
    server, endpoint = start_server()
    yield endpoint
    server.stop()


@pytest.fixture
def bucket(s3_endpoint, monkeypatch):
    """A new bucket (name, url, obstore's store, endpoint), and the environment that leads to it."""
    return new_bucket(s3_endpoint, monkeypatch)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A collection of 300 drawn scenes with the demo model's vectors; tests only read it."""
    import pairdex
    from pairdex.demo.pictures import draw_pictures

    root = tmp_path_factory.mktemp("drawn")
    draw_pictures(root / "pictures", count=300, seed=5)
    pairdex.encode(root / "pictures", root / "parts", model="demo")
    pairdex.build(root / "parts", root / "collection")
    return root / "collection"
