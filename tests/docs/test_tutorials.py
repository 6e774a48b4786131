"""The tutorials run line by line: each command and each Python block, in order, in one folder."""

import json
import re
import shlex
import shutil
import socket
import subprocess
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.demo.demo import make_demo
from pairdex.demo.pictures import draw_pictures
from places import DOCS
from served import serving


class Walk:
    """What came of a tutorial: the output of each line, what its Python printed, and its names."""

    def __init__(self):
        self.out, self.printed, self.names = {}, "", {}


@pytest.fixture
def walk(tmp_path, monkeypatch, run, capsys):
    """A function that runs a tutorial in a fresh folder; `replaced` are small data for large."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as services:

        def start(words):
            url = services.enter_context(
                serving(tmp_path / f"{len(words)}.log", *words[:1], options=words[1:])
            )
            assert url == f"http://127.0.0.1:{words[-1]}"

        def line(text):
            words = shlex.split(text)
            if words[:2] == ["pairdex", "serve"]:
                own = words[2:] if "--port" in words else [*words[2:], "--port", str(free_port())]
                at = own.index("--port")
                start([*own[:at], *own[at + 2 :], *own[at : at + 2]])
                return ""
            if words[0] == "pairdex":
                ended = run(*words[1:])
                assert ended.status == 0, (text, ended.err)
                return ended.out
            assert words[0] == "curl", text
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout

        def go(page, replaced):
            text = (DOCS / "tutorials" / page).read_text()
            for shown, meant in replaced.items():
                assert shown in text, shown
                text = text.replace(shown, meant)
            walked = Walk()
            for kind, code in re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.S | re.M):
                if kind == "python":
                    capsys.readouterr()
                    exec(code, walked.names)
                    walked.printed += capsys.readouterr().out
                    continue
                for each in code.replace("\\\n", " ").splitlines():
                    walked.out[each] = line(each)
            return walked

        yield go


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_tutorial_for_photos_runs(walk, tmp_path):
    draw_pictures(tmp_path / "my-pictures", count=40, seed=1)
    first, *_ = sorted((tmp_path / "my-pictures").glob("*.jpg"))
    shutil.copy(first, tmp_path / "example.jpg")
    shutil.copy(first, tmp_path / "my-pictures" / "double.jpg")
    walked = walk("photos.md", {})
    assert "double.jpg" in walked.printed
    found = walked.out["pairdex search my-pictures-pairdex --image example.jpg -k 5"]
    assert "double.jpg" in found or first.name in found


@pytest.fixture
def laion(tmp_path, write_part):
    """The address of three parts in LAION-400M's layout, of pictures that the demo model knows."""
    demo = pairdex.open(make_demo(tmp_path / "source", count=150, seed=3).collection)
    for number in range(3):
        ids = np.arange(50 * number, 50 * number + 50)
        columns = {
            "url": [f"https://example.org/{row}.jpg" for row in ids],
            "caption": demo.take(ids, ["caption"])["caption"].to_pylist(),
            "NSFW": ["UNLIKELY"] * 40 + ["NSFW"] * 10,
            "similarity": np.linspace(0.3, 0.4, 50),
            "LICENSE": ["?"] * 50,
            "width": np.full(50, 512, np.int32),
            "height": np.full(50, 512, np.int32),
        }
        vectors = demo.vectors("image")[ids], demo.vectors("text")[ids]
        write_part(tmp_path / "www", number, *vectors, columns, "laion400m")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *said):
            pass

    handler = partial(Quiet, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_tutorial_for_laion_runs(walk, laion, tmp_path):
    (tmp_path / "takedown.txt").write_text("https://example.org/3.jpg\n")
    small = {
        "fetch laion400m": f"fetch {laion}",
        "--parts 0-9": "--parts 0-1",
        "--parts 10-11": "--parts 2",
        "--parts 0-11": "--parts 0-2",
        "--like 4711": "--like 5",
        '"a red car" -k 5': '"a red car" -k 5 --model demo',
        '"night" -k 5': '"night" -k 5 --model demo',
    }
    walked = walk("laion.md", small)
    assert walked.printed == "[[7], [8], []]\n"
    opened = pairdex.open(tmp_path / "laion", model="demo")
    assert (len(opened), opened.removed) == (119, 1)
    assert "car" in opened.search("a red car", k=1)[0]["caption"]


def test_the_tutorial_for_curators_runs(walk, tmp_path):
    made = make_demo(tmp_path / "source", count=150, seed=3)
    (tmp_path / "collection").symlink_to(made.collection)
    np.savez("aesthetic-head.npz", weight=np.ones((1, 64)), bias=np.array([5.0]))
    layer = {"linear_1.weight": np.ones((1, 64)), "linear_1.bias": np.zeros(1)}
    norm = {"norm.mean": np.zeros(64), "norm.variance": np.ones(64)}
    np.savez("nsfw-head.npz", **norm, **layer)
    walked = walk("curation.md", {"--threshold 0.03": "--threshold 0.1"})
    distinct, tests, train = (
        pairdex.open(tmp_path / name) for name in ("distinct", "test-set", "train-set")
    )
    assert len(tests) == 30
    leaked = pq.read_table(tmp_path / "near-test.parquet")
    assert len(train) + train.removed <= len(distinct) - 30
    assert len(leaked) >= 30
    kept = {row["image_path"] for row in train}
    assert kept.isdisjoint(row["image_path"] for row in tests)
    assert len(pairdex.open(tmp_path / "train-set-2")) == len(train)
    dropped = pq.read_table(tmp_path / "groups.parquet")
    assert len(distinct) == 150 - len(dropped) < 150
    assert len(walked.printed.splitlines()) == min(5, len(dropped))


def test_the_tutorial_for_engineers_runs(walk, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    make_demo(tmp_path / "demo", count=120, seed=3)
    port = str(free_port())
    walked = walk(
        "service.md", {"8420": port, "pairdex demo demo --no-serve": "pairdex info demo/collection"}
    )
    answers = {line: out for line, out in walked.out.items() if line.startswith("curl")}
    found = json.loads(next(out for line, out in answers.items() if '"a red car"' in line))
    assert "car" in found["hits"][0]["caption"]
    wrong = json.loads(next(out for line, out in answers.items() if "widht" in line))
    assert wrong["error"]["field"] == "where"
    assert json.loads([*answers.values()][-1])["error"]["code"] == "not_found"
    assert any("pairdex_" in out for line, out in answers.items() if line.endswith("/metrics"))
    assert walked.printed.splitlines()[-1] == "7 True"
