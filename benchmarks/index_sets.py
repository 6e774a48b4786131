"""The vectors, held-out queries and exact neighbours that `index.py` measures approximate search on.

A set is a folder: `parts/` in the layout of LAION, `queries.npz` (`image` and `text`, float16, none of them a
row) and `gold.npz` (`image_ids`, `image_distances` and the same of `text`: the 100 nearest rows, certified).
Each file is made once, and the later ones only from finished earlier ones. `dedup.py` and `graph.py` take
only rows, from `make_parts`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.files import atomic
from pairdex.knn.codes import build_codes, open_codes
from pairdex.knn.cosine import nearest
from pairdex.work.processors import usable_processors

KINDS = ("image", "text")
GOLD_K = 100
REAL = "real"
SEED = 1


def make_set(cache: Path, data: str, shared: Path, *, queries: int = 1000) -> Path:
    """Return the folder of a set, made if it is not there.

    `data` is `real` (the ViT-B/32 vectors in `shared/data`) or a number of rows for `clip_like.py`.
    """
    folder = cache / f"index-{data}"
    if not (folder / "queries.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if data == REAL:
            hold_out_real(folder, shared / "data", queries)
        else:
            draw_like_clip(folder, shared / "tools" / "clip_like.py", int(data), queries)
    if not (folder / "gold.npz").exists():
        write_arrays(folder / "gold.npz", find_gold(folder))
    return folder


def make_parts(cache: Path, shared: Path, rows: int) -> Path:
    """LAION-like parts of so many rows, made once."""
    parts = cache / f"dedup-{rows}"
    if not parts.exists():
        tool = [sys.executable, shared / "tools" / "clip_like.py", "--out", parts]
        subprocess.run([*tool, "--rows", str(rows)], check=True)
    return parts


def draw_like_clip(folder: Path, tool: Path, rows: int, queries: int) -> None:
    command = [sys.executable, str(tool), "--out"]
    subprocess.run([*command, folder / "parts", "--rows", str(rows)], check=True)
    drawn = folder / "drawn.npz"
    subprocess.run([*command, drawn, "--queries", str(queries), "--seed", "99"], check=True)
    drawn.rename(folder / "queries.npz")


def hold_out_real(folder: Path, source: Path, queries: int) -> None:
    """Split the real vectors in queries and rows; texts repeat, so that every image has one."""
    rng = np.random.default_rng(SEED)
    held, kept = {}, {}
    for kind in KINDS:
        vectors = np.load(source / f"clip_b32_{kind}s.npy")
        order = rng.permutation(len(vectors))
        held[kind] = vectors[order[:queries]]
        kept[kind] = without(vectors[order[queries:]], held[kind])
    kept["text"] = np.resize(kept["text"], kept["image"].shape)
    for kind, name in zip(KINDS, ("img_emb", "text_emb"), strict=True):
        (folder / "parts" / name).mkdir(parents=True, exist_ok=True)
        np.save(folder / "parts" / name / f"{name}_0.npy", kept[kind])
    write_arrays(folder / "queries.npz", held)


def without(rows: NDArray[np.float16], held: NDArray[np.float16]) -> NDArray[np.float16]:
    """Rows that are not, bit for bit, one of the held-out ones."""
    known = {row.tobytes() for row in held}
    return rows[[row.tobytes() not in known for row in rows]]


def find_gold(folder: Path) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
    images = np.load(folder / "parts/img_emb/img_emb_0.npy", mmap_mode="r")
    texts = np.load(folder / "parts/text_emb/text_emb_0.npy", mmap_mode="r")
    queries = np.load(folder / "queries.npz")
    path, threads = folder / "codes", usable_processors()
    if not path.exists():
        build_codes([images], path, text_blocks=[texts], threads=threads)
    codes = open_codes(path, rows=len(images), dim=images.shape[1])
    gold = {}
    for kind in KINDS:
        asked = queries[kind].astype(np.float32)
        found = nearest([images], asked, GOLD_K, codes=codes, threads=threads)
        gold[f"{kind}_ids"], gold[f"{kind}_distances"] = found.ids, found.distances
    return gold


def write_arrays(path: Path, arrays: dict[str, NDArray]) -> None:
    with atomic.replacing(path) as file:
        np.savez(file, **arrays)
