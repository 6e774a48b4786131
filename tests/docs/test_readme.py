"""What the README shows runs as it stands."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from pairdex.cli.demo import DEFAULT_FOLDER
from pairdex.demo.demo import make_demo
from pairdex.demo.pictures import draw_pictures
from places import ROOT

README = (ROOT / "README.md").read_text()


def block_after(heading, language=""):
    """The first code block below a heading."""
    section = README.split(f"## {heading}\n", 1)[1]
    return re.search(rf"```{language}\n(.*?)```", section, re.S)[1]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    draw_pictures(folder / "my-pictures", count=120, seed=1)
    return folder


@pytest.fixture(scope="module")
def collection(workplace):
    """Runs the commands for one's own pictures, without serving."""
    for line in block_after("Search your own pictures").splitlines():
        command = shlex.split(line, comments=True)
        if command[:1] == ["pairdex"]:
            ends = ["--no-serve"] if command[1] == "photos" else []
            run = subprocess.run(
                [sys.executable, "-m", *command, *ends],
                cwd=workplace,
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, f"{line}: {run.stderr}"
    return workplace / "my-pictures-pairdex"


def test_the_commands_for_own_pictures_end_with_a_collection(collection):
    assert (collection / "collection.json").is_file()


def test_the_python_example_runs_on_the_demo_collection_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_demo(DEFAULT_FOLDER, count=120, seed=3)
    names = {}
    exec(block_after("From Python", "python"), names)
    assert names["hits"].table.column_names[:3] == ["id", "distance", "similarity"]
    assert len(names["hits"]) == 10
    assert names["ids"].shape == (3, 10)
    assert names["rows"]["part"].to_pylist() == [0, 0, 0]
    assert names["vectors"].dtype == np.float16
