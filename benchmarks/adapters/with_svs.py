"""An adapter of Intel's Scalable Vector Search: Vamana over float16 vectors.

    pairdex bench COLLECTION QUERIES --run benchmarks/adapters/with_svs.py

Needs scalable-vs 0.3 or newer.
"""

import os
from importlib.metadata import version as version_of

import numpy as np
import svs


class Svs:
    """A Vamana graph by inner product."""

    name = "SVS Vamana f16"
    version = version_of("scalable-vs")
    query_arguments = (10, 20, 40, 80, 160)  # search window
    degree, window = 64, 200

    def fit(self, vectors: np.ndarray) -> None:
        """Build the graph."""
        self._threads = len(os.sched_getaffinity(0))
        parameters = svs.VamanaBuildParameters(
            graph_max_degree=self.degree, window_size=self.window, alpha=0.95
        )
        rows = np.ascontiguousarray(vectors, np.float16)
        self._index = svs.Vamana.build(parameters, rows, svs.MIP, self._threads)

    def set_query_arguments(self, window: int) -> None:
        """Set the size of the search window."""
        self._window = window
        self.params = f"degree={self.degree} build_window={self.window} window={window}"

    def batch_query(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of each query, (n, k)."""
        self._index.search_window_size = max(self._window, k)
        return self._index.search(queries, k)[0].astype(np.int64)
