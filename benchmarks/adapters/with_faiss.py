"""Adapters of faiss: its HNSW graph, and inverted lists with 4-bit product codes.

    pairdex bench COLLECTION QUERIES --run benchmarks/adapters/with_faiss.py:Hnsw

Needs faiss-cpu 1.8 or newer.
"""

import faiss
import numpy as np


class Hnsw:
    """HNSW over float32 vectors by inner product."""

    name = "faiss HNSW"
    version = faiss.__version__
    query_arguments = (16, 32, 64, 128, 256)  # efSearch
    m, ef_construction = 32, 200

    def fit(self, vectors: np.ndarray) -> None:
        """Build the graph."""
        self._index = faiss.IndexHNSWFlat(vectors.shape[1], self.m, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = self.ef_construction
        self._index.add(np.ascontiguousarray(vectors))

    def set_query_arguments(self, ef_search: int) -> None:
        """Set the size of the candidate list."""
        self._index.hnsw.efSearch = ef_search
        self.params = f"M={self.m} efConstruction={self.ef_construction} efSearch={ef_search}"

    def batch_query(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of each query, (n, k); -1 for none."""
        return self._index.search(queries, k)[1]


class IvfFastScan:
    """Inverted lists of 4-bit product codes, compared again with the vectors."""

    name = "faiss IVF,PQ4fs,RFlat"
    version = faiss.__version__
    query_arguments = ((4, 4), (16, 4), (32, 10), (64, 10))  # nprobe, k_factor

    def fit(self, vectors: np.ndarray) -> None:
        """Train and fill the lists."""
        rows, dim = vectors.shape
        lists = int(2 * rows**0.5)
        factory = f"IVF{lists},PQ{dim // 2}x4fs,RFlat"
        self._index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        vectors = np.ascontiguousarray(vectors)
        self._index.train(vectors[: 256 * lists])
        self._index.add(vectors)

    def set_query_arguments(self, nprobe: int, k_factor: int) -> None:
        """Set the lists that are scanned, and the candidates for each neighbour."""
        faiss.extract_index_ivf(self._index.base_index).nprobe = nprobe
        self._index.k_factor = k_factor
        self.params = f"nprobe={nprobe} k_factor={k_factor}"

    def batch_query(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of each query, (n, k); -1 for none."""
        return self._index.search(queries, k)[1]
