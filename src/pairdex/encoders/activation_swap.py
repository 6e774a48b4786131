"""Swap the activation of a tower, to test whether GELU and QuickGELU were confused.

Each activation has one operator that occurs nowhere else in such a tower, which identifies it:
QuickGELU is x * sigmoid(1.702 x), GELU x * (1 + erf(x / sqrt 2)) / 2 or, from opset 20 on, Gelu.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["swapped"]

_QUICK = 1.702


def swapped(data: bytes) -> bytes | None:
    """Return an ONNX tower with the other activation; None if it has neither.

    Parameters
    ----------
    data
        The file's content.
    """
    import onnx  # noqa: PLC0415 - it loads slowly
    import onnx.helper  # noqa: PLC0415
    import onnx.numpy_helper  # noqa: PLC0415

    model: Any = onnx.load_model_from_string(data)
    if not {"Sigmoid", "Erf", "Gelu"} & {node.op_type for node in model.graph.node}:
        return None
    nodes: list[Any] = []
    for i, node in enumerate(model.graph.node):
        nodes += _replaced(node, f"swap{i}", onnx.helper.make_node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    for name, value in _CONSTANTS.items():
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array(value, np.float32), name)
        )
    result: bytes = model.SerializeToString()
    return result


_CONSTANTS = {
    "swap_one": 1.0,
    "swap_two": 2.0,
    "swap_half": 0.5,
    "swap_quick": _QUICK,
    "swap_erf_to_sigmoid": _QUICK * math.sqrt(2),
    "swap_sigmoid_to_erf": 1 / (_QUICK * math.sqrt(2)),
}


def _replaced(node: Any, name: str, make: Any) -> list[Any]:  # noqa: ANN401 - protobuf
    """Return the nodes that replace a node; they compute the other function of the same x."""
    given, result = node.input[0], node.output[0]
    if node.op_type == "Gelu":  # x -> x * sigmoid(1.702 x)
        return [
            make("Mul", [given, "swap_quick"], [f"{name}a"]),
            make("Sigmoid", [f"{name}a"], [f"{name}b"]),
            make("Mul", [given, f"{name}b"], [result]),
        ]
    if node.op_type == "Sigmoid":  # of v = 1.702 x -> (1 + erf(x / sqrt 2)) / 2
        return [
            make("Mul", [given, "swap_sigmoid_to_erf"], [f"{name}a"]),
            make("Erf", [f"{name}a"], [f"{name}b"]),
            make("Add", [f"{name}b", "swap_one"], [f"{name}c"]),
            make("Mul", [f"{name}c", "swap_half"], [result]),
        ]
    if node.op_type == "Erf":  # of u = x / sqrt 2 -> 2 sigmoid(1.702 x) - 1
        return [
            make("Mul", [given, "swap_erf_to_sigmoid"], [f"{name}a"]),
            make("Sigmoid", [f"{name}a"], [f"{name}b"]),
            make("Mul", [f"{name}b", "swap_two"], [f"{name}c"]),
            make("Sub", [f"{name}c", "swap_one"], [result]),
        ]
    return [node]
