"""What the tests of the service share: drawn scenes to serve, and waiting for what threads do."""

import time
from random import Random

from pairdex.demo.captions import caption_scene
from pairdex.demo.scenes import draw_scene, random_scene

SCENES = 200
ATTACK = "<img src=x onerror=\"document.title='attacked'\"> & <script>alert(1)</script>"
ATTACK_ID, LOST_ID, BROKEN_ID, OUTSIDE_ID = 7, 9, 11, 13  # rows whose pictures or captions are odd


def draw_scenes(folder, count):
    """Draw scenes into a folder with their captions; every fourth is cut to another shape."""
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
    """Wait for another thread to have done something."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
