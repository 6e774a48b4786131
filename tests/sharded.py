"""A collection and the same rows in shards, for tests of what treats both alike."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

import pairdex
from conftest import save_part, unit_rows

ROWS = (40, 25, 0, 31, 60, 18, 26)  # of the parts; one is empty
DIM = 64  # of the demo model
WORDS = ["red", "green", "blue", "dog", "cat", "house", "boat", "hill"]


@dataclass(frozen=True)
class Twins:
    """A collection, and the folder of the same rows in shards."""

    whole: Path
    shards: Path


def words_columns(number, rows):
    """Metadata with captions of a few words, tags, addresses and sizes with many equal values."""
    rng = np.random.default_rng(number)
    captions = [" ".join(rng.choice(WORDS, 4)) for _ in range(rows)]
    return {
        "url": [f"https://example.org/{number}/{row % 20}.jpg" for row in range(rows)],
        "caption": pa.array(captions, pa.string()),
        "NSFW": pa.array(["UNLIKELY", "NSFW", None][row % 3] for row in range(rows)),
        "LICENSE": pa.array([["cc-by", "?"][row % 2] for row in range(rows)], pa.string()),
        "width": pa.array([100 + row % 7 for row in range(rows)], pa.int32()),
    }


def save_parts(folder, rows=ROWS, dim=DIM):
    """Write parts in which some vectors occur several times, also in different parts."""
    folder.mkdir(parents=True)
    shared = unit_rows(3, dim, seed=99)
    for number, count in enumerate(rows):
        image, text = (unit_rows(count, dim, seed=2 * number + one) for one in (0, 1))
        image[:3] = shared[: len(image[:3])]
        table = pa.table(words_columns(number, count))
        save_part(folder, number, image, text, table)
    return folder


def make_twins(folder, shards=3, rows=ROWS):
    """Build a collection with the demo model's record, and shards of it."""
    pairdex.build(save_parts(folder / "parts", rows), folder / "whole", model="demo")
    pairdex.shard(folder / "whole", shards, folder / "shards")
    return Twins(folder / "whole", folder / "shards")
