"""Writes ONNX node by node, so that the same weights always give the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.encoders.export.towers import Activation, Affine, Block
from pairdex.errors import UnsupportedFormat

__all__ = ["Graph"]

_OPSET = 20  # the first with Gelu
_IR_VERSION = 10  # read by every onnxruntime that knows the opset
_QUICK = 1.702  # OpenAI's QuickGELU: x * sigmoid(1.702 x), clip/model.py
_LARGEST_BYTES = (1 << 31) - 1  # of one protobuf message


class Graph:
    """A graph under construction; names identify values."""

    def __init__(self) -> None:
        import onnx  # noqa: PLC0415 - only exports need it, and it loads slowly
        import onnx.helper  # noqa: PLC0415
        import onnx.numpy_helper  # noqa: PLC0415

        self._onnx: Any = onnx
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:  # noqa: ANN401
        """Add a node; return the name of its output, or a list of names."""
        names = [f"v{len(self._nodes)}{'abc'[i] if outputs > 1 else ''}" for i in range(outputs)]
        node = self._onnx.helper.make_node(operator, list(inputs), names, **attributes)
        self._nodes.append(node)
        return names[0] if outputs == 1 else names

    def constant(self, value: NDArray[Any] | float | list[int]) -> str:
        """Add a tensor; numbers become float32, lists of integers int64."""
        array = np.asarray(value, np.float32 if isinstance(value, float) else None)
        array = np.array(array, order="C")  # keeps zero dimensions, unlike ascontiguousarray
        small = (str(array.dtype), array.shape, array.tobytes() if array.size < 100 else b"")
        if array.size < 100 and small in self._known:
            return self._known[small]
        name = f"w{len(self._tensors)}"
        self._tensors.append(self._onnx.numpy_helper.from_array(array, name))
        self._known[small] = name
        return name

    def affine(self, x: str, layer: Affine) -> str:
        """Add x @ weight + bias."""
        y: str = self.add("MatMul", x, self.constant(layer.weight))
        return y if layer.bias is None else self.add("Add", y, self.constant(layer.bias))

    def norm(self, x: str, layer: Affine, epsilon: float) -> str:
        """Add a layer normalisation over the last axis."""
        inputs = [x, self.constant(layer.weight)]
        if layer.bias is not None:
            inputs.append(self.constant(layer.bias))
        result: str = self.add("LayerNormalization", *inputs, axis=-1, epsilon=epsilon)
        return result

    def activated(self, x: str, activation: Activation) -> str:
        """Add the activation of the networks."""
        if activation == "quick_gelu":
            gate = self.add("Sigmoid", self.add("Mul", x, self.constant(_QUICK)))
            result: str = self.add("Mul", x, gate)
        else:
            kind = "tanh" if activation == "gelu_tanh" else "none"
            result = self.add("Gelu", x, approximate=kind)
        return result

    def attention(
        self, query: str, key: str, value: str, heads: int, mask: str | None = None
    ) -> str:
        """Add softmax(q k^T / sqrt(d) + mask) v over (batch, length, width), for each head."""
        scores = self.add("MatMul", self._headed(query, heads), self._headed(key, heads, last=True))
        if mask is not None:
            scores = self.add("Add", scores, mask)
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), self._headed(value, heads))
        merged = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        result: str = self.add("Reshape", merged, self.constant([0, 0, -1]))
        return result

    def block(
        self,
        x: str,
        block: Block,
        heads: int,
        *,
        epsilon: float,
        activation: Activation,
        mask: str | None,
    ) -> str:
        """Add one residual layer."""
        width = len(block.norm_1.weight)
        qkv = self.affine(
            self.norm(x, block.norm_1, epsilon), scaled_queries(block.qkv, width, heads)
        )
        query, key, value = self.add(
            "Split", qkv, self.constant([width, width, width]), outputs=3, axis=-1
        )
        attended = self.attention(query, key, value, heads, mask)
        x = self.add("Add", x, self.affine(attended, block.out))
        inner = self.affine(self.norm(x, block.norm_2, epsilon), block.up)
        result: str = self.add("Add", x, self.affine(self.activated(inner, activation), block.down))
        return result

    def model(self, inputs: dict[str, tuple[str, list[int | str]]], output: str, dim: int) -> bytes:
        """Return the finished model; its result is called `vectors`, shape (batch, dim).

        It uses the graph up: tensors are moved into the model one by one, as towers take gigabytes.

        Raises
        ------
        UnsupportedFormat
            The tower does not fit into one ONNX file.
        """
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        self._nodes.append(helper.make_node("Identity", [output], ["vectors"]))
        graph = helper.make_graph(
            self._nodes,
            "tower",
            [
                helper.make_tensor_value_info(name, getattr(kinds, kind), shape)
                for name, (kind, shape) in inputs.items()
            ],
            [helper.make_tensor_value_info("vectors", kinds.FLOAT, ["batch", dim])],
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        size = sum(len(tensor.raw_data) for tensor in self._tensors)
        if size > _LARGEST_BYTES - (16 << 20):
            raise UnsupportedFormat(
                f"a tower of {size / 1e9:.1f} GB does not fit into one ONNX file, which holds 2.1 GB: "
                "models of this size cannot be exported"
            )
        self._tensors.reverse()
        while self._tensors:
            model.graph.initializer.append(self._tensors.pop())
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def _headed(self, x: str, heads: int, *, last: bool = False) -> str:
        """Reshape (batch, length, width) to (batch, heads, length, size), or with the last two swapped."""
        split = self.add("Reshape", x, self.constant([0, 0, heads, -1]))
        result: str = self.add("Transpose", split, perm=[0, 2, 3, 1] if last else [0, 2, 1, 3])
        return result


def scaled_queries(qkv: Affine, width: int, heads: int) -> Affine:
    """Move the 1 / sqrt(d) of the attention into the weights of the queries."""
    scale = np.float32((width // heads) ** -0.5)
    weight = qkv.weight.copy()
    weight[:, :width] *= scale
    if qkv.bias is None:
        return Affine(weight, None)
    bias = qkv.bias.copy()
    bias[:width] *= scale
    return Affine(weight, bias)
