"""The tours in `docs/` run as they stand: every command of a page, then its Python, in one folder."""

import csv
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import h5py
import numpy as np
import pytest
from PIL import Image

from pairdex.demo.pictures import draw_pictures
from places import DOCS


def blocks(page, language=""):
    """The code blocks of a page in one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.S | re.M)
    return [code for kind, code in fenced if kind == language]


def run_commands(page, folder, replaced=None, without=None):
    """Run every line with `pairdex` or `mkdir` of a page's plain blocks in `folder`."""
    for block in blocks(page):
        for shown, meant in (replaced or {}).items():
            block = block.replace(shown, meant)  # noqa: PLW2901 - as this reader has it
        for line in block.splitlines():
            if without and without in line:
                continue
            command = shlex.split(line, comments=True)
            if command and command[0] in ("pairdex", "mkdir", "mv"):
                program = [sys.executable, "-m"] if command[0] == "pairdex" else []
                run = subprocess.run(
                    [*program, *command],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert run.returncode == 0, f"{line}: {run.stderr}"


@pytest.fixture(scope="module")
def own_collection(tmp_path_factory):
    """A folder in which `my-collection` holds 60 drawn pictures."""
    folder = tmp_path_factory.mktemp("tour")
    draw_pictures(folder / "pictures", count=60, seed=1)
    for command in ("encode pictures parts --model demo", "build parts my-collection"):
        subprocess.run([sys.executable, "-m", "pairdex", *command.split()], cwd=folder, check=True)
    return folder


def test_the_tour_of_training_data_runs(own_collection, monkeypatch, capsys):
    run_commands("tfds.md", own_collection)
    monkeypatch.chdir(own_collection)
    for code in blocks("tfds.md", "python"):
        exec(code, {})
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("60 b'")
    assert shown[0].endswith("(64,)")
    assert shown[1].endswith("(64,)")
    assert shown[2].endswith(", 3) 3")
    shards = [
        [*(own_collection / "tars").glob("*.tar")],
        [*(own_collection / "tables").glob("*.parquet")],
    ]
    assert [len(some) for some in shards] == [1, 1]


def test_the_page_on_notebooks_runs(own_collection, monkeypatch):
    if not (own_collection / "collection").exists():
        (own_collection / "collection").symlink_to("my-collection")
    monkeypatch.chdir(own_collection)
    names = {}
    for code in blocks("notebooks.md", "python"):
        exec(code, names)
    assert len(names["frame"]) == 60
    assert names["rows"].num_rows == 60


def test_the_tour_of_own_pictures_runs(tmp_path, monkeypatch):
    draw_pictures(tmp_path / "my-pictures", count=12, seed=1)
    run_commands("photos.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    [code] = blocks("photos.md", "python")
    names = {}
    exec(code.replace('"my-pictures"', '"photos", "my-pictures-pairdex"'), names)
    assert (names["report"].unchanged, len(names["collection"])) == (12, 12)


def test_the_tour_of_clickhouse_runs_on_the_embedded_engine(own_collection):
    pytest.importorskip("chdb")
    if not (own_collection / "collection").exists():
        (own_collection / "collection").symlink_to("my-collection")
    shutil.copy(next((own_collection / "pictures").glob("*.jpg")), own_collection / "car.jpg")
    np.save(own_collection / "queries.npy", np.eye(3, 64, dtype=np.float32))
    small = {"4711": "7", "-n 100": "-n 20"}
    run_commands("clickhouse.md", own_collection, small, without="--url")
    with h5py.File(own_collection / "hits.h5") as file:
        assert file["knns"].shape == (3, 100)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *said):
        pass


@pytest.fixture
def released(tmp_path, write_part):
    """The address of a server that has three parts, as LAION-2B-en lays them out; vectors in clusters."""
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((40, 128))
    for number in range(3):
        near = centres[rng.integers(0, 40, 400)] + 0.4 * rng.standard_normal((400, 128))
        columns = {
            "url": [f"https://example.org/{number}/{row}.jpg" for row in range(400)],
            "caption": [f"caption {row}" for row in range(400)],
            "NSFW": ["UNLIKELY", "UNSURE", "NSFW", "UNLIKELY"] * 100,
            "LICENSE": ["?"] * 400,
        }
        write_part(tmp_path / "www", number, near.astype(np.float16), None, columns, "laion2b")
    handler = partial(Quiet, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_tour_from_released_parts_to_a_plot_runs(released, tmp_path):
    run_commands("tutorials/research.md", tmp_path, {"http://127.0.0.1:8000/": released})
    runs = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    recall = {Path(run["file"]).stem: float(run["recall"]) for run in runs}
    assert recall["exact"] == 1
    assert 0.2 < recall["pca32"] < recall["pca96"] < 1
    assert 0.2 < recall["hamming"] < 1
    with Image.open(tmp_path / "recall.png") as plot:
        assert plot.width > 600
    datasets = {}
    for path in (tmp_path / "bundles").glob("*.h5"):
        with h5py.File(path) as file:
            datasets |= {name: (item.shape, str(item.dtype)) for name, item in file.items()}
    assert datasets == {
        "emb": ((600, 128), "float16"),
        "pca32": ((600, 32), "float32"),
        "pca96": ((600, 96), "float32"),
        "hamming": ((600, 16), "uint64"),
    }
