"""An adapter of hnswlib.

    pairdex bench COLLECTION QUERIES --run benchmarks/adapters/with_hnswlib.py

Needs hnswlib 0.8 or newer.
"""

from importlib.metadata import version as version_of

import hnswlib
import numpy as np


class Hnswlib:
    """HNSW over float32 vectors by inner product."""

    name = "hnswlib"
    version = version_of("hnswlib")
    query_arguments = (16, 32, 64, 128, 256)  # ef
    m, ef_construction = 32, 200

    def fit(self, vectors: np.ndarray) -> None:
        """Build the graph."""
        self._index = hnswlib.Index("ip", vectors.shape[1])
        self._index.init_index(len(vectors), self.ef_construction, self.m)
        self._index.add_items(vectors)

    def set_query_arguments(self, ef: int) -> None:
        """Set the size of the candidate list."""
        self._ef = ef
        self.params = f"M={self.m} efConstruction={self.ef_construction} ef={ef}"

    def batch_query(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of each query, (n, k)."""
        self._index.set_ef(max(self._ef, k))
        return self._index.knn_query(queries, k)[0].astype(np.int64)
