"""Writes the two towers as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from pairdex.encoders.export.onnx_graph import Graph, scaled_queries
from pairdex.encoders.export.towers import PoolHead, TextTower, VisionTower

__all__ = ["text_model", "vision_model"]

_HIDDEN = np.float32(np.finfo(np.float32).min)  # added by the mask to hidden places


def vision_model(tower: VisionTower) -> bytes:
    """Return the image tower: pixels (batch, 3, size, size) float32 to vectors (batch, dim)."""
    graph = Graph()
    patches = [graph.constant(tower.patches.weight)]
    if tower.patches.bias is not None:
        patches.append(graph.constant(tower.patches.bias))
    x = graph.add("Conv", "pixels", *patches, strides=[tower.patch, tower.patch])
    width = len(tower.patches.weight)
    x = graph.add(
        "Transpose", graph.add("Reshape", x, graph.constant([0, width, -1])), perm=[0, 2, 1]
    )
    if tower.class_token is not None:
        x = graph.add("Concat", _repeated(graph, tower.class_token, x), x, axis=1)
    x = graph.add("Add", x, graph.constant(tower.positions))
    if tower.norm_before is not None:
        x = graph.norm(x, tower.norm_before, tower.epsilon)
    for block in tower.blocks:
        x = graph.block(
            x, block, tower.heads, epsilon=tower.epsilon, activation=tower.activation, mask=None
        )
    if tower.pool is None:  # only the class token is needed from here on
        x = graph.add("Gather", x, graph.constant(np.array(0)), axis=1)
    x = graph.norm(x, tower.norm_after, tower.epsilon)
    if tower.pool is not None:
        x = _pooled(graph, x, tower, tower.pool)
    if tower.projection is not None:
        x = graph.affine(x, tower.projection)
    inputs: dict[str, tuple[str, list[Any]]] = {
        "pixels": ("FLOAT", ["batch", 3, tower.size, tower.size])
    }
    dim = width if tower.projection is None else tower.projection.weight.shape[1]
    return graph.model(inputs, x, dim)


def text_model(tower: TextTower) -> bytes:
    """Return the text tower: ids (batch, length) int64 to vectors (batch, dim) float32.

    The length is free where the tower is causal, up to its context length.
    """
    graph = Graph()
    length = graph.add("Shape", "ids", start=1, end=2)
    x = graph.add("Gather", graph.constant(tower.tokens), "ids", axis=0)
    x = graph.add("Add", x, _first(graph, tower.positions, length))
    mask = _causal_mask(graph, tower.context_length, length) if tower.causal else None
    for block in tower.blocks:
        x = graph.block(
            x, block, tower.heads, epsilon=tower.epsilon, activation=tower.activation, mask=mask
        )
    if tower.eot_id is None:
        x = graph.add("Gather", x, graph.constant(np.array(-1)), axis=1)
    else:
        ends = graph.add("Equal", "ids", graph.constant(np.array(tower.eot_id)))
        place = graph.add("ArgMax", graph.add("Cast", ends, to=6), axis=1, keepdims=1)  # 6: int32
        x = graph.add("GatherND", x, place, batch_dims=1)
    x = graph.affine(graph.norm(x, tower.norm_after, tower.epsilon), tower.projection)
    size: int | str = "length" if tower.causal else tower.context_length
    inputs: dict[str, tuple[str, list[Any]]] = {"ids": ("INT64", ["batch", size])}
    return graph.model(inputs, x, tower.projection.weight.shape[1])


def _first(graph: Graph, rows: Any, length: str, axes: tuple[int, ...] = (0,)) -> str:  # noqa: ANN401
    """Take the first `length` rows (and columns) of a constant."""
    starts = graph.constant([0] * len(axes))
    ends = length if len(axes) == 1 else graph.add("Concat", *[length] * len(axes), axis=0)
    result: str = graph.add("Slice", graph.constant(rows), starts, ends, graph.constant(list(axes)))
    return result


def _causal_mask(graph: Graph, context_length: int, length: str) -> str:
    mask = np.triu(np.full((context_length, context_length), _HIDDEN, np.float32), 1)
    return _first(graph, mask, length, (0, 1))


def _repeated(graph: Graph, row: Any, like: str) -> str:  # noqa: ANN401
    """Expand (width,) to (batch, 1, width), with the batch of `like`."""
    batch = graph.add("Shape", like, start=0, end=1)
    shape = graph.add("Concat", batch, graph.constant([1, len(row)]), axis=0)
    result: str = graph.add("Expand", graph.constant(row[None, None, :]), shape)
    return result


def _pooled(graph: Graph, x: str, tower: VisionTower, pool: PoolHead) -> str:
    width = pool.probe.shape[1]
    query = scaled_queries(pool.query, width, tower.heads)
    asked = pool.probe @ query.weight + (0 if query.bias is None else query.bias)
    both = graph.affine(x, pool.key_value)
    key, value = graph.add("Split", both, graph.constant([width, width]), outputs=2, axis=-1)
    mixed = graph.attention(_repeated(graph, asked[0], x), key, value, tower.heads)
    read = graph.add("Gather", graph.affine(mixed, pool.out), graph.constant(np.array(0)), axis=1)
    inner = graph.affine(graph.norm(read, pool.norm, tower.epsilon), pool.up)
    refined = graph.affine(graph.activated(inner, tower.activation), pool.down)
    result: str = graph.add("Add", read, refined)
    return result
