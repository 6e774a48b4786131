"""How long `pairdex photos` takes over a folder that did not change, and after 1 % of it changed.

python benchmarks/photos.py [--pictures 100000] [--folder DIR]

It draws small pictures (JPEG, 64 x 48), makes a collection of them with the demo model, and runs again:
unchanged, after 1 % was added, edited, moved and deleted (a quarter each), and after all files were only
touched. Times are those of the second and later runs in this process, with warm file caches.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pairdex.follow.photos import PhotosReport, photos

PER_FOLDER = 1_000
LONG_AGO = 1_600_000_000


def draw(path: Path, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    made = io.BytesIO()
    Image.fromarray(levels).resize((64, 48)).save(made, "JPEG")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.getvalue())
    os.utime(path, (LONG_AGO, LONG_AGO))


def place_of(folder: Path, number: int) -> Path:
    return folder / f"{number // PER_FOLDER:04d}" / f"{number:07d}.jpg"


def change(folder: Path, pictures: int) -> None:
    """Add, edit, move and delete a quarter of 1 % each."""
    quarter = max(1, pictures // 400)
    chosen = np.random.default_rng(1).permutation(pictures)[: 3 * quarter]
    edited, moved, deleted = np.split(chosen, 3)
    for number in range(quarter):
        draw(place_of(folder, pictures + number), pictures + number)
    for number in edited:
        draw(place_of(folder, int(number)), 10 * pictures + int(number))
    (folder / "moved").mkdir()
    for number in moved:
        path = place_of(folder, int(number))
        path.rename(folder / "moved" / path.name)
    for number in deleted:
        place_of(folder, int(number)).unlink()


def touch(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        os.utime(path, (LONG_AGO + 1, LONG_AGO + 1))


def timed(folder: Path, collection: Path) -> tuple[float, PhotosReport]:
    started = time.perf_counter()
    report = photos(folder, collection)
    return time.perf_counter() - started, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    root = options.folder or Path(tempfile.mkdtemp(prefix="photos-"))
    folder, collection = root / "pictures", root / "collection"
    for number in range(options.pictures):
        draw(place_of(folder, number), number)
    result: dict[str, object] = {"machine": platform.processor(), "cores": os.cpu_count()}
    steps = {
        "first": lambda: None,
        "unchanged": lambda: None,
        "1 % changed": lambda: change(folder, options.pictures),
        "all touched": lambda: touch(folder),
    }
    for name, prepare in steps.items():
        prepare()
        seconds, report = timed(folder, collection)
        counts = {key: getattr(report, key) for key in ("rows", "added", "removed", "moved")}
        result[name] = {"seconds": round(seconds, 2), **counts}
    print(json.dumps(result, indent=1))
    if options.folder is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
