"""The compiled part of pairdex: use pairdex.knn and pairdex.ivf instead."""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def survive_faults() -> bool:
    """
    Read pages that a mapped file has lost as zeros, and count them, instead of ending by SIGBUS.
    """

def fault_count() -> int:
    """Number of lost pages that were read so far."""

def kernels() -> list[str]:
    """Names of the kernels that this processor can run, fastest first."""

def check_rows(rows: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, threads: int = 1) -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """
    (n,) uint8: 0 a row that can be normalised, 1 all zero, 2 with an infinity or NaN.
    """

def nearest(blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, within: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | float = 2.0, inner_product: bool = False, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))], int]:
    """
    Exact nearest rows: ids (n, k) int64, distances (n, k) float64, pairs measured in float64.
    """

def nearest_bits(blocks: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)]], queries: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))]]:
    """
    Rows that differ from the queries in the fewest bits: ids (n, k) int64, distances (n, k) float64.
    """

def nearest_points(blocks: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]], queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))]]:
    """
    Exact nearest rows by squared Euclidean distance: ids (n, k) int64, distances (n, k) float64.
    """

def nearest_by_codes(blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, coordinates: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], slack: float, head: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], rest: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, within: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | float = 2.0, row_norm: float = 0.0, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))], int, int, int]:
    """
    Exact nearest rows by their codes: ids, distances, pairs bounded by the head, with all dimensions, measured.
    """

def encode_rows(rows: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], basis: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], head: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], rest: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], *, row_norm: float = 0.0, threads: int, kernel: str) -> None:
    """
    Write the codes of rows into both planes; of rows divided by row_norm, if it is not 0.
    """

def code_layout(dim: int) -> tuple[int, int, int, int]:
    """
    Coordinates in head and rest; bytes of 32 rows in the head plane and the rest plane.
    """

def coordinate_error(dim: int, *, kernel: str) -> float:
    """The largest error of a row's coordinate in the codes' basis."""

def ivf_coordinates(rows: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], basis: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, threads: int, kernel: str) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
    """
    Coordinates (n, len(basis)) float32 of the normalised rows; NaN for a row without a direction.
    """

def ivf_code(coordinates: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, threads: int) -> tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None, None))], Annotated[NDArray[numpy.uint16], dict(shape=(None, None))]]:
    """
    4-bit codes of coordinates, (n, bytes) uint8, and (n, 3) float16 bits: along mean, along gap, scale.
    """

def ivf_group(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], facts: Annotated[NDArray[numpy.uint16], dict(shape=(None, None), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], *, coordinates: int, groups: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """
    Write coded rows, by number, into groups of 32; a negative number leaves its place empty.
    """

def ivf_assign(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], facts: Annotated[NDArray[numpy.uint16], dict(shape=(None, None), order='C', device='cpu', writable=False)], centroids: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None,))]]:
    """
    The nearest centroid of each coded row, (n,) uint32, and its squared distance; rows and centroids as coordinates.
    """

class InvertedFile:
    """An inverted file in memory, with the rows that it indexes."""

    def __init__(self, blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], *, basis: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], centroids: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], spreads: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], groups: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], ids: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def search(self, queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, own: tuple[int, int, float], other: tuple[int, int, float], other_from: float, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, from_disk: bool, threads: int, kernel: str, need: object | None = None) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))], int, int]:
        """
        Nearest rows, approximately: ids, distances, pairs scored by codes, pairs compared.
        """

class Cells:
    """The cells of some rows of Arrow's buffers, as plain Python values."""

    def __init__(self, columns: Sequence[tuple[str, Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], Callable[[int], object]] | Callable[[int], object]]) -> None: ...

    def row(self, row: int) -> list[object]:
        """
        The values of one row, one for each column; null and numbers that are not finite as None.
        """

def graph_node_bytes(dim: int, degree: int) -> int:
    """Bytes of a node."""

def graph_first_equals(blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], *, threads: int) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
    """For each row the first row that equals it byte for byte, (n,) uint32."""

def graph_write_rows(nodes: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], *, degree: int, blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], ids: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], mean: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], seed: int, step: float, threads: int, kernel: str) -> None:
    """Write the rows of the nodes."""

def graph_write_edges(nodes: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], *, dim: int, edges: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], step: float, threads: int, kernel: str) -> None:
    """Write the edges of the nodes, whose rows are written."""

def graph_choose_edges(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], *, near: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], out: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], n_strict: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], threads: int, kernel: str) -> None:
    """Choose edges among the nearest rows."""

def graph_add_reverse(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], *, one_way: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], n_strict: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], out: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], threads: int, kernel: str) -> None:
    """Add the edges back, and others where there is place."""

def graph_row_norms(nodes: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], *, dim: int, degree: int, threads: int) -> Annotated[NDArray[numpy.int32], dict(shape=(None,))]:
    """
    Squared lengths of the rows of the nodes, in whole numbers, (n,) int32.
    """

def graph_insert_reverse(nodes: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], *, dim: int, norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], one_way: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], n_strict: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], edges: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], threads: int, kernel: str) -> None:
    """Add the edges of the last nodes to those of all, and lead them back."""

def graph_more_entries(edges: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], entries: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
    """Nodes that are needed to reach all others, (n,) uint32."""

class Graph:
    """A graph in memory, with the rows that it indexes."""

    def __init__(self, blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], *, nodes: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], degree: int, mean: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], seed: int, step: float, basis: tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]], groups: tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]], group_scale: float, entries: tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]], entry_scale: float, entry_nodes: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], copies: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def search(self, queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, visits: int, compared: int, groups: int, seeds: int, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))], int, int]:
        """
        Nearest rows, approximately: ids, distances, nodes visited, rows compared.
        """

    def choose_edges(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], *, near: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], out: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], n_strict: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], visits: int, groups: int, seeds: int, threads: int, kernel: str) -> None:
        """Choose edges among the nodes that walks visit."""

    def choose_new_edges(self, norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], *, near: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], out: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], n_strict: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], visits: int, groups: int, seeds: int, threads: int, kernel: str) -> None:
        """Choose edges of the last nodes among the nodes that walks visit."""

    def refill(self, norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], *, edges: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], visits: int, groups: int, seeds: int, threads: int, kernel: str) -> None:
        """Fill free places with nodes that walks visit."""

def join_encode(rows: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], basis: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], shifts: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], *, centre_squared: float, basis_error: float, small: tuple[int, float, float], large: tuple[int, float, float], small_codes: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu')], large_codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')], small_norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], large_norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], has_direction: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], threads: int, kernel: str) -> tuple[float, float]:
    """
    Write both integer codes of rows; returns the largest distance of either from what it stands for.
    """

def join_assign(small: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)], centroids: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.int32], dict(shape=(None,))]]:
    """
    The list of each code, that of the best centroid, and its score with that one.
    """

def join_keep_first(later: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], earlier: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], distances: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], ids: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]:
    """
    Of rows in the order of their visit, the nearest kept one before each, -1 if it is kept, and the distance.
    """

class JoinRows:
    """Rows with integer codes, in the order of their lists."""

    def __init__(self, blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], *, small: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)], large: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], small_norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], large_norms: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], lists: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], own: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], ids: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], ranks: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], centroids: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None: ...

    def pairs(self, x: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], x_range: tuple[int, int], y: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], y_range: tuple[int, int], *, is_self: bool, limits: tuple[float, tuple[float, float], tuple[float, float], float], limit: int, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]] | None:
        """
        Pairs within the limits: slots, slots, distances; None if they are more than `limit`.
        """

    def nearest_earlier(self, x: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], x_range: tuple[int, int], y: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], y_range: tuple[int, int], *, limits: tuple[float, tuple[float, float], tuple[float, float], float], of: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int, kernel: str) -> None:
        """
        For each row of x, by id, the nearest row of y of a smaller rank, where it is nearer than what is there.
        """

    def graph_by_lists(self, slots: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], *, probes: int, candidates: int, threads: int, kernel: str) -> None:
        """Fill the graph of nearest rows from the lists nearest to each row."""

    def refine_graph(self, slots: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], *, threads: int, kernel: str) -> None:
        """Compare each row with the neighbours of its neighbours."""

    def counts(self) -> tuple[int, int, int, int]:
        """
        Pairs compared so far by the small codes, the large codes, in float32 and in float64.
        """
