"""`pairdex photos` from the command line: its JSON, the page it serves, and following a folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from PIL import Image

PAIRDEX = [sys.executable, "-m", "pairdex"]
LONG = 90.0  # seconds: machines that test are busy


def draw(path, seed):
    levels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(levels).save(path)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "Pictures"
    place.mkdir()
    for i in range(3):
        draw(place / f"{i}.png", i)
    return place


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"PAIRDEX_MODELS": str(tmp_path / "models")}


def run(environment, *arguments):
    return subprocess.run(
        [*PAIRDEX, "photos", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_the_command_reports_what_it_did_as_json(folder, environment):
    done = run(environment, folder, "--no-serve", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {
        key: said[key] for key in ("rows", "added", "removed", "unchanged", "failed", "url")
    } == {
        "rows": 3,
        "added": 3,
        "removed": 0,
        "unchanged": 0,
        "failed": 0,
        "url": None,
    }
    assert said["collection"] == str(folder.with_name("Pictures-pairdex"))


def test_for_people_it_says_what_the_demo_model_knows_and_what_failed(folder, environment):
    (folder / "bad.jpg").write_bytes(b"x")
    done = run(environment, folder, "--no-serve")
    assert "knows 24 drawn things; for photographs: --model ViT-B/32" in done.stdout
    assert "3 added, 1 not readable (failed.tsv in" in done.stdout


def test_a_wrong_folder_is_one_line(tmp_path, environment):
    done = run(environment, tmp_path / "none", "--no-serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"pairdex: {tmp_path / 'none'} is not a folder; expected a folder of pictures\n"
    )


def test_it_serves_the_page_and_follows_the_folder_until_ctrl_c(folder, environment):
    with subprocess.Popen(
        [*PAIRDEX, "photos", str(folder), "--watch", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            url = json.loads(process.stdout.readline())["url"]
            assert process.stderr.readline().startswith("following")
            draw(folder / "new.png", 10)
            assert wait(lambda: rows(url) == 4)
            (folder / "0.png").unlink()
            (folder / "1.png").rename(folder / "renamed.png")
            assert wait(lambda: rows(url) == 3)
            assert wait(lambda: name(url, 1) == "renamed.png")
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert "Traceback" not in errors


def rows(url):
    [found] = httpx.get(f"{url}/api/collections").json()["collections"]
    return found["rows"]


def name(url, row_id):
    return httpx.get(f"{url}/api/items/{row_id}").json()["image_path"]


def wait(holds):
    ends = time.monotonic() + LONG
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(0.2)
    return False


def test_a_run_that_is_killed_while_it_encodes_goes_on(folder, environment, tmp_path):
    for i in range(3, 300):
        shutil.copy(folder / f"{i % 3}.png", folder / f"{i}.png")
    with subprocess.Popen(
        [*PAIRDEX, "photos", str(folder), str(tmp_path / "c"), "--no-serve"],
        stdout=subprocess.DEVNULL,
        env=environment,
    ) as process:
        ends = time.monotonic() + LONG
        while not (tmp_path / "c/.photos").exists() and time.monotonic() < ends:
            time.sleep(0.01)
        process.kill()
    done = run(environment, folder, tmp_path / "c", "--no-serve", "--json")
    assert json.loads(done.stdout)["rows"] == 300
    again = json.loads(run(environment, folder, tmp_path / "c", "--no-serve", "--json").stdout)
    assert (again["added"], again["unchanged"]) == (0, 300)
