"""An adapter of usearch.

    pairdex bench COLLECTION QUERIES --run benchmarks/adapters/with_usearch.py

Needs usearch 2.16 or newer.
"""

from importlib.metadata import version as version_of

import numpy as np
from usearch.index import Index


class Usearch:
    """HNSW over float16 vectors by inner product."""

    name = "usearch f16"
    version = version_of("usearch")
    query_arguments = (16, 32, 64, 128, 256)  # expansion_search
    connectivity, expansion_add = 32, 200

    def fit(self, vectors: np.ndarray) -> None:
        """Build the graph."""
        self._index = Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype="f16",
            connectivity=self.connectivity,
            expansion_add=self.expansion_add,
        )
        self._index.add(np.arange(len(vectors), dtype=np.uint64), np.ascontiguousarray(vectors))

    def set_query_arguments(self, expansion_search: int) -> None:
        """Set the size of the candidate list."""
        self._index.expansion_search = expansion_search
        self.params = (
            f"connectivity={self.connectivity} expansion_add={self.expansion_add} "
            f"expansion_search={expansion_search}"
        )

    def batch_query(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of each query, (n, k); -1 for none."""
        found = np.atleast_2d(self._index.search(queries, k).keys).astype(np.int64)
        return np.where(found < len(self._index), found, -1)
