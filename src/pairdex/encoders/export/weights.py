"""Reads the tensors of a model: safetensors directly, PyTorch's files with PyTorch."""

from __future__ import annotations

import math
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, MissingExtra, UnsupportedFormat
from pairdex.files import foreign_json

__all__ = ["Weights", "read_weights"]

Weights = Mapping[str, NDArray[np.float32]]

_HEADER_LIMIT = 100 << 20  # the limit of the reference reader of safetensors
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}


def read_weights(path: Path) -> Weights:
    """Return all tensors of a file as float32, by name.

    Parameters
    ----------
    path
        `.safetensors`, or a PyTorch file: a state dict, a checkpoint that holds one, or TorchScript.

    Raises
    ------
    DamagedFile
        The file is truncated, or is not what its name says.
    MissingExtra
        Reading it needs PyTorch, which is not installed.
    """
    return _safetensors(path) if path.suffix == ".safetensors" else _torch(path)


def _safetensors(path: Path) -> Weights:
    """Read the format of https://github.com/huggingface/safetensors: length, JSON, data."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_HEADER_LIMIT, path.stat().st_size):
                raise ValueError("its header is longer than the file")
            header = foreign_json.parse(file.read(length))
        header.pop("__metadata__", None)
        data = np.memmap(path, np.uint8, "r", offset=8 + length)
        return {name: _tensor(data, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DamagedFile(
            f"{path} is not a complete safetensors file: {error}; fetch it again"
        ) from error


def _tensor(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[np.float32]:
    start, stop = entry["data_offsets"]
    kind = np.dtype(_TYPES[entry["dtype"]])
    if stop - start != math.prod(entry["shape"]) * kind.itemsize or not 0 <= start <= stop <= len(
        data
    ):
        raise ValueError(f"a tensor of {entry['shape']} does not fit its {stop - start} bytes")
    raw = data[start:stop].view(kind).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(raw, np.float32)


def _torch(path: Path) -> Weights:
    try:
        import torch  # noqa: PLC0415 - only these files need it
    except ImportError as error:
        raise MissingExtra(
            f"{path} is a PyTorch file; to read it: pip install 'pairdex[export]'"
        ) from error
    try:
        if _is_torchscript(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself
                content = torch.jit.load(str(path), map_location="cpu").state_dict()
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no reason"
        raise DamagedFile(f"{path} cannot be read by PyTorch: {reason}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]  # a training checkpoint, as open_clip writes it
    tensors = {
        name.removeprefix("module."): tensor.detach().to(torch.float32).numpy()
        for name, tensor in (content.items() if isinstance(content, dict) else ())
        if isinstance(tensor, torch.Tensor)
    }
    if not tensors:
        raise UnsupportedFormat(f"{path} holds no tensors; expected a state dict or TorchScript")
    return tensors


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
