"""Quantises the matrices of a tower to 8-bit integers, with onnxruntime."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

__all__ = ["quantised"]


def quantised(data: bytes) -> bytes:
    """Return the ONNX model with its matrices as signed 8-bit integers, a scale for each column."""
    # onnxruntime's tools write to the root logger.
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            old, new = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
            old.write_bytes(data)
            quantize_dynamic(
                old,
                new,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul"],
            )
            return new.read_bytes()
    finally:
        logger.setLevel(before)
