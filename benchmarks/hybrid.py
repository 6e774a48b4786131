"""What the fusion of text searches with captions costs and gains, on real vectors of ViT-B/32.

    python benchmarks/hybrid.py [--data ../shared/data] [--queries 1000]

The pool has text vectors without their texts, so the texts get invented words, one each. A picture's own
text is its nearest one, as a zero-shot classifier would name it. Captions hold the word of the picture's own
text (right), of another picture's (wrong), or none. A query is a text; its relevant rows are the pictures
whose own text it is, as far as they can be among ten.
"""

from __future__ import annotations

import argparse
import string
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairdex

K = 10
ROOT = Path(__file__).parent.parent


class Texts:
    """An encoder that knows the vectors of the invented words."""

    def __init__(self, words: list[str], vectors: np.ndarray) -> None:
        self._vectors = dict(zip(words, vectors, strict=True))

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of the words."""
        return np.stack([self._vectors[text] for text in texts])


def main() -> None:
    """Compare both searches under captions of several qualities."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--queries", type=int, default=1_000)
    asked = parser.parse_args()
    images = np.load(asked.data / "clip_b32_images.npy")
    texts = _unit(np.load(asked.data / "clip_b32_texts.npy"))
    words = [_word(number) for number in range(len(texts))]
    own = (_unit(images) @ texts.T).argmax(axis=1)
    named = np.unique(own)
    queries = np.random.default_rng(1).permutation(named)[: asked.queries]
    print(
        f"{len(images):,} pictures, {len(queries):,} queries, {len(named):,} texts name a picture"
    )
    print("right  wrong  none | hybrid | relevant@10 vectors  hybrid | nearest 10 kept | ms  ms")
    for right, wrong in ((1.0, 0.0), (0.9, 0.1), (0.5, 0.0), (0.5, 0.5), (0.0, 1.0), (0.0, 0.0)):
        captions = _captions(words, own, right, wrong)
        with tempfile.TemporaryDirectory() as folder:
            c = _built(Path(folder), images, captions)
            vars(c.finder)["encoder"] = Texts(words, texts.astype(np.float32))
            _compare(c, words, own, queries, (right, wrong))


def _compare(c, words, own, queries, shares) -> None:  # noqa: ANN001
    c.prepare()
    c.prepare_keywords()
    found, seconds = {}, {}
    for hybrid in (False, True):
        c.search(words[queries[0]], k=K, hybrid=hybrid)
        started = time.perf_counter()
        found[hybrid] = [c.search(words[query], k=K, hybrid=hybrid) for query in queries]
        seconds[hybrid] = (time.perf_counter() - started) / len(queries)
    relevant = {
        h: np.mean([_recall(own, q, x) for q, x in zip(queries, found[h], strict=True)])
        for h in found
    }
    kept = np.mean(
        [
            len(np.intersect1d(a.ids, b.ids)) / K
            for a, b in zip(found[False], found[True], strict=True)
        ]
    )
    fused = np.mean([hits.report.method == "hybrid" for hits in found[True]])
    right, wrong = shares
    print(
        f"{right:5.0%}  {wrong:5.0%}  {max(0.0, 1 - right - wrong):4.0%} | {fused:6.0%} | "
        f"{relevant[False]:19.3f}  {relevant[True]:6.3f} | {kept:15.3f} | "
        f"{1e3 * seconds[False]:.1f} {1e3 * seconds[True]:.1f}",
        flush=True,
    )


def _recall(own: np.ndarray, query: int, hits: pairdex.Hits) -> float:
    return np.count_nonzero(own[hits.ids] == query) / min(K, np.count_nonzero(own == query))


def _captions(words: list[str], own: np.ndarray, right: float, wrong: float) -> list[str]:
    rng = np.random.default_rng(2)
    kind = rng.random(len(own))
    others = rng.permutation(own)
    return [
        words[own[i]]
        if kind[i] < right
        else words[others[i]]
        if kind[i] < right + wrong
        else "other"
        for i in range(len(own))
    ]


def _built(folder: Path, images: np.ndarray, captions: list[str]) -> pairdex.Collection:
    parts = folder / "parts"
    parts.mkdir()
    np.save(parts / "img_emb_0.npy", images)
    pq.write_table(pa.table({"caption": captions}), parts / "metadata_0.parquet")
    pairdex.build(parts, folder / "c")
    return pairdex.open(folder / "c")


def _word(number: int) -> str:
    letters = ""
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters += string.ascii_lowercase[letter]
    return f"w{letters}"


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
