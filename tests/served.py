"""Shared by the tests of the service: drawn scenes to serve, and waiting for threads."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from random import Random

from prometheus_client.parser import text_string_to_metric_families

from pairdex.demo.captions import caption_scene
from pairdex.demo.scenes import draw_scene, random_scene

SCENES = 200
ATTACK = "<img src=x onerror=\"document.title='attacked'\"> & <script>alert(1)</script>"
ATTACK_ID, LOST_ID, BROKEN_ID, OUTSIDE_ID = 7, 9, 11, 13  # rows whose pictures or captions are odd


def draw_scenes(folder, count):
    """Draw scenes with captions into a folder; every fourth picture is cropped."""
    folder.mkdir(parents=True)
    rng = Random(8)
    lines = ["file\tcaption\tlicense"]
    for number in range(count):
        scene = random_scene(rng)
        caption = ATTACK if number == ATTACK_ID else caption_scene(scene, rng)
        picture = draw_scene(scene, rng)
        box = (0, 24, 192, 168) if number % 4 == 0 else (0, 0, 192, 192)
        picture.crop(box).save(folder / f"{number:04}.png")
        lines.append(f"{number:04}.png\t{caption}\tcc-by")
    (folder / "captions.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def wait_until(is_so, seconds=60):
    """Wait until `is_so()` is true."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@contextmanager
def serving(log, *folders, options=()):
    """Run `serving_process`, and yield only the URL."""
    with serving_process(log, *folders, options=options) as (url, _):
        yield url


@contextmanager
def serving_process(log, *folders, options=()):
    """Run `pairdex serve` in a separate process; yield its URL once it is ready, and the process.

    When the block ends, the process is stopped, and killed if it does not exit. Its output is in the file
    `log`.
    """
    command = [
        sys.executable,
        "-m",
        "pairdex",
        "serve",
        *map(str, folders),
        "--port",
        "0",
        *options,
    ]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        wait_until(lambda: "serving http" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        url = log.read_text().split("serving ")[1].split()[0]
        wait_until(lambda: is_ready(url))
        yield url, process
    finally:
        end(process)


def end(process):
    """End a process, by force if it does not end when it is asked to."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_ready(url, path="/health"):
    """Whether a service reports that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}{path}") as response:
            return response.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False


def sample(text, name, **labels):
    """Return the value of one series in Prometheus' text format; fail if it is missing."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    (value,) = [one.value for one in samples if (one.name, one.labels) == (name, labels)]
    return value
