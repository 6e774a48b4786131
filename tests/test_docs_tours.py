"""The tours in `docs/` run as they stand: every command of a page, then its Python, in one folder."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pairdex.demo.pictures import draw_pictures

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(page, language=""):
    """The code blocks of a page in one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.S | re.M)
    return [code for kind, code in fenced if kind == language]


def run_commands(page, folder):
    """Run every `pairdex` line of a page's plain blocks in `folder`."""
    for block in blocks(page):
        for line in block.splitlines():
            command = shlex.split(line, comments=True)
            if command[:1] == ["pairdex"]:
                run = subprocess.run(
                    [sys.executable, "-m", *command],
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
    assert [len(list((own_collection / name).iterdir())) for name in ("tars", "tables")] == [1, 1]
