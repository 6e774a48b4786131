"""How often a picture is found first by its own caption, by vectors alone and fused with captions.

python benchmarks/own_captions.py COLLECTION [--queries 500]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import pairdex

K = 10


def main() -> None:
    """Search for captions that no other row has, and print the shares that find their row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--queries", type=int, default=500)
    asked = parser.parse_args()
    c = pairdex.open(asked.collection)
    captions = c.take(np.arange(len(c)))["caption"].to_pylist()
    unique = [i for i, text in enumerate(captions) if text and captions.count(text) == 1]
    rows = np.random.default_rng(1).permutation(unique)[: asked.queries]
    for hybrid in (False, True):
        found = c.search([captions[row] for row in rows], k=K, hybrid=hybrid)
        first = np.mean([hits.ids[0] == row for hits, row in zip(found, rows, strict=True)])
        among = np.mean([row in hits.ids for hits, row in zip(found, rows, strict=True)])
        name = "hybrid" if hybrid else "vectors"
        print(f"{name:7}  first {first:.3f}  among {K} {among:.3f}  ({len(rows)} captions)")


if __name__ == "__main__":
    main()
