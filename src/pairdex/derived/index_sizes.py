"""Which index fits into memory: its size, whether the vectors stay on disk, and the share of each shard."""

from __future__ import annotations

import os
from pathlib import Path

from pairdex.errors import InvalidArgument
from pairdex.graph_index.file import node_bytes
from pairdex.graph_index.parameters import choose as choose_graph
from pairdex.ivf.file import GROUP_ROWS, row_bytes
from pairdex.ivf.parameters import IndexKind, Size, choose
from pairdex.store.shard_list import read_shard_list
from pairdex.store.store import Store, VectorField
from pairdex.wording import counted

__all__ = ["fitting_graph", "fitting_lists", "memory_of_shards"]

# The memory of a process besides the index: Python, libraries, the rows that one search compares.
_PROCESS_BYTES = 96 * 2**20
_ENTRY_BYTES = 1 << 20  # entries of a graph, at most about
_SHARE = 2  # auto: a graph may take one part in this many of the machine's memory


def memory_of_shards(folder: Path, memory_bytes: int | None) -> dict[Path, int | None]:
    """Return the folders of the shards that have rows, and the memory of each: its share by rows.

    Raises
    ------
    InvalidArgument
        No shard has rows.
    """
    shards = [shard for shard in read_shard_list(folder).shards if shard.rows]
    if not shards:
        raise InvalidArgument(f"{folder} has no rows to index")
    rows = sum(shard.rows for shard in shards)
    return {
        folder / shard.path: None if memory_bytes is None else memory_bytes * shard.rows // rows
        for shard in shards
    }


def fitting_graph(
    store: Store, on: VectorField, kind: IndexKind, memory_bytes: int | None, size: Size | None
) -> Size | None:
    """Return the size of the graph to build beside the lists; None for lists alone.

    `auto` builds it of images if memory holds it; without a limit, if half of the machine's memory does.

    Raises
    ------
    InvalidArgument
        `graph`, and memory is too small for one, its lists and the vectors.
    """
    if kind == "lists" or (kind == "auto" and on != "image"):
        return None
    if memory_bytes is None and kind == "graph":
        return size or "fast"
    limit = _machine_bytes() // _SHARE if memory_bytes is None else memory_bytes
    needs = {each: _graph_bytes(store, each) for each in _sizes(size)}
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
    """Estimate the memory of a graph with its lists and the vectors."""
    rows, dim = store.rows, store.dim
    graph = rows * node_bytes(dim, choose_graph(rows, dim, size=size).degree) + _ENTRY_BYTES
    return graph + _lists_bytes(store, size) + _vectors_bytes(store)


def _sizes(size: Size | None) -> list[Size]:
    return ["fast", "compact"] if size is None else [size]


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fitting_lists(store: Store, memory_bytes: int | None, size: Size | None) -> tuple[Size, bool]:
    """Return the size of index that fits into memory, and whether the vectors must stay on disk."""
    if memory_bytes is None:
        return size or "fast", False
    needs = {each: _lists_bytes(store, each) for each in _sizes(size)}
    for each, needed in needs.items():
        if needed + _vectors_bytes(store) <= memory_bytes:
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


def _vectors_bytes(store: Store) -> int:
    return store.rows * store.dim * 2


def _lists_bytes(store: Store, size: Size) -> int:
    """Estimate the memory of lists: rows, half an empty group per list on average, centroids, the process."""
    rows = store.rows
    parameters = choose(rows, store.dim, size=size)
    a_row = row_bytes(parameters.coded) + 10
    centroid = 4 * (parameters.coded + 2) + a_row
    file = (rows + parameters.nlist * GROUP_ROWS // 2) * a_row + parameters.nlist * centroid
    return file + _PROCESS_BYTES
