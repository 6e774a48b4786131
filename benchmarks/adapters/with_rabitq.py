"""An adapter of rabitqlib: its SymphonyQG graph.

    pairdex bench COLLECTION QUERIES --run benchmarks/adapters/with_rabitq.py

Needs rabitqlib 0.7 or newer.
"""

import os
from importlib.metadata import version as version_of

import numpy as np
import rabitqlib


class SymphonyQg:
    """A graph with RaBitQ codes beside its edges, by squared Euclidean distance of unit vectors."""

    name = "rabitqlib SymQG"
    version = version_of("rabitqlib")
    query_arguments = (20, 40, 80, 160, 320)  # ef
    degree, ef_construction = 32, 200

    def fit(self, vectors: np.ndarray) -> None:
        """Build the graph."""
        self._threads = len(os.sched_getaffinity(0))
        self._index = rabitqlib.SymqgIndex(vectors.shape[1], self.degree, metric="l2")
        rows = np.ascontiguousarray(vectors)
        self._index.build(rows, self.ef_construction, num_threads=self._threads)

    def set_query_arguments(self, ef: int) -> None:
        """Set the size of the candidate list."""
        self._ef = ef
        self.params = f"degree={self.degree} ef_construction={self.ef_construction} ef={ef}"

    def batch_query(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of each query, (n, k)."""
        found = self._index.search_batch(queries, k, max(self._ef, k), num_threads=self._threads)
        ids = max(found, key=lambda one: np.asarray(one).dtype.kind in "iu")
        return np.asarray(ids).astype(np.int64)
