"""Which index fits into memory: its size, and whether the vectors stay on disk."""

from __future__ import annotations

import os

from pairdex.derived.graph import expected_bytes
from pairdex.errors import InvalidArgument
from pairdex.ivf.file import GROUP_ROWS, row_bytes
from pairdex.ivf.parameters import IndexKind, Size, choose
from pairdex.store.store import Store
from pairdex.wording import counted

__all__ = ["fitting_graph", "fitting_lists"]

# The memory of a process besides the index: Python, libraries, the rows that one search compares.
_PROCESS_BYTES = 96 * 2**20
_SHARE = 2  # auto: a graph may take one part in this many of the machine's memory


def fitting_graph(
    store: Store, kind: IndexKind, memory_bytes: int | None, size: Size | None
) -> Size | None:
    """Return the size of the graph to build beside the lists; None for lists alone.

    `auto` builds it of images if memory holds it; without a limit, if half of the machine's memory does.

    Raises
    ------
    InvalidArgument
        `graph`, and memory is too small for one, its lists and the vectors.
    """
    if kind == "lists":
        return None
    if memory_bytes is None and kind == "graph":
        return size or "fast"
    limit = _machine_bytes() // _SHARE if memory_bytes is None else memory_bytes
    sizes: list[Size] = ["fast", "compact"] if size is None else [size]
    needs = {each: _graph_bytes(store, each) for each in sizes}
    fitting = next((each for each, needed in needs.items() if needed <= limit), None)
    if fitting is None and kind == "graph":
        raise InvalidArgument(
            f"a graph of {counted(store.rows, 'row')}, its lists and the vectors need at least "
            f"{min(needs.values()):,} bytes of memory, got {limit:,}; allow more with --memory, or use "
            "--kind lists",
            field="memory",
        )
    return fitting


def _graph_bytes(store: Store, size: Size) -> int:
    vectors = store.rows * store.dim * 2
    lists = _expected_bytes(store.rows, store.dim, size)
    return expected_bytes(store.rows, store.dim, size) + lists + vectors + _PROCESS_BYTES


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fitting_lists(store: Store, memory_bytes: int | None, size: Size | None) -> tuple[Size, bool]:
    """Return the size of index that fits into memory, and whether the vectors must stay on disk."""
    if memory_bytes is None:
        return size or "fast", False
    vectors = store.rows * store.dim * 2
    sizes: list[Size] = ["fast", "compact"] if size is None else [size]
    needs = {each: _expected_bytes(store.rows, store.dim, each) + _PROCESS_BYTES for each in sizes}
    for each, needed in needs.items():
        if needed + vectors <= memory_bytes:
            return each, False
    for each, needed in needs.items():
        if needed <= memory_bytes:
            return each, True
    least = min(needs.values())
    raise InvalidArgument(
        f"an index of {counted(store.rows, 'row')} needs at least {least:,} bytes of memory, got "
        f"{memory_bytes:,}; allow more with --memory",
        field="memory",
    )


def _expected_bytes(rows: int, dim: int, size: Size) -> int:
    """Estimate the size of the file: rows, half an empty group per list on average, and centroids."""
    parameters = choose(rows, dim, size=size)
    a_row = row_bytes(parameters.coded) + 10
    centroid = 4 * (parameters.coded + 2) + a_row
    return (rows + parameters.nlist * GROUP_ROWS // 2) * a_row + parameters.nlist * centroid
