"""Inspect an ONNX file before it runs: its weights must be inside it, and loops are not allowed.

A graph without loops and functions runs each node once, so it terminates. The format is Protocol
Buffers; the numbers of fields are those of ONNX's onnx.proto.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.boundary import reading

__all__ = ["check_graph"]

_LOOPS = frozenset({"Loop", "Scan", "If", "SequenceMap"})
_MAX_FIELDS = 5_000_000  # a model has some ten thousand
_MAX_NAME_BYTES = 1000
_MAX_DEPTH = 20  # of messages; what has no graphs inside graphs has six

# Of each kind of message: the fields that are messages to look into.
_INSIDE = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_FUNCTIONS, _OPERATOR, _EXTERNAL_DATA, _DATA_LOCATION = 25, 4, 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_graph(path: Path) -> None:
    """Inspect every node and tensor of an ONNX file, without reading its weights.

    Raises
    ------
    UnsupportedFormat
        Weights lie in another file without a checksum; the graph has loops, branches or functions.
    DamagedFile
        It is not an ONNX file.
    """
    with reading(path, advice="export the model again"), path.open("rb") as file:
        waiting = [("model", 0, os.fstat(file.fileno()).st_size, 0)]
        seen = 0
        while waiting:
            kind, start, end, depth = waiting.pop()
            for number, wire, value, size in _fields(file, start, end):
                seen += 1
                if seen > _MAX_FIELDS or depth > _MAX_DEPTH:
                    raise DamagedFile(f"{path} is not the graph of a model: it is too large")
                inner = _INSIDE[kind].get(number)
                if inner is not None and wire == _BYTES:
                    waiting.append((inner, value, value + size, depth + 1))
                else:
                    _check_field(path, file, (kind, number, wire), value, size)


def _check_field(
    path: Path, file: BinaryIO, field: tuple[str, int, int], value: int, size: int
) -> None:
    """Raise for a forbidden field; `value` is a number, or the position of the bytes."""
    kind, number, wire = field
    if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
        raise UnsupportedFormat(
            f"{path} keeps weights in another file, which its checksum does not cover; "
            "save the model with all weights inside it"
        )
    if kind == "model" and number == _FUNCTIONS:
        raise UnsupportedFormat(f"{path} has functions of its own; export the model without them")
    if kind == "node" and number == _OPERATOR and wire == _BYTES:
        file.seek(value)
        name = file.read(min(size, _MAX_NAME_BYTES)).decode(errors="replace")
        if name in _LOOPS:
            raise UnsupportedFormat(
                f"{path} has a node {name}: what loops may never end; export the model without it"
            )


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, value or position, and size of each field of a message."""
    at = start
    while at < end:
        file.seek(at)
        tag, at = _varint(file, at)
        number, wire = tag >> 3, tag & 7
        value, size = at, {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)
        if wire == _VARINT:
            value, at = _varint(file, at)
        elif wire == _BYTES:
            size, at = _varint(file, at)
            value = at
        elif not size:
            raise ValueError(f"a field of the unknown wire type {wire}")
        at += size
        if at > end or not number:
            raise ValueError("a field ends behind its message")
        yield number, wire, value, size


def _varint(file: BinaryIO, at: int) -> tuple[int, int]:
    """Return a number of up to 64 bits at the file's position, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value, at + shift // 7 + 1
    raise ValueError("a number of more than 64 bits")
