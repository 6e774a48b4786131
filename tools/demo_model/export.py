"""Writing a trained pair as a model folder: two ONNX files of half-precision weights, and `model.json`."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import nn

from demo_model.tokens import BOS, EOT
from demo_model.towers import CONTEXT, DIM, IMAGE_SIZE, Pair
from demo_model.train import MEAN, STD
from pairdex.demo.vocabulary import EXAMPLES

OPSET = 18
_SMALL = 64  # weights of fewer numbers stay float32: they cost nothing


def export(pair: Pair, tokenizer: Tokenizer, folder: Path) -> None:
    """Write text.onnx, vision.onnx, tokenizer.json and model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    bos, eot = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOT)
    ids = torch.tensor([[bos, 300, 301, eot, 0], [bos, 302, eot, 0, 0]])
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=CONTEXT)
    _export(pair.text, ids, {0: batch, 1: length}, folder / "text.onnx")
    pixels = torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    _export(pair.vision, pixels, {0: batch}, folder / "vision.onnx")
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    content = {
        "format": 1,
        "name": "demo",
        "dim": DIM,
        "image": {
            "size": IMAGE_SIZE,
            "resize_mode": "crop",
            "interpolation": "bicubic",
            "mean": MEAN,
            "std": STD,
        },
        "text": {
            "context_length": CONTEXT,
            "pad": "dynamic",
            "pad_id": 0,
            "bos_id": bos,
            "eot_id": eot,
            "cleaning": "openai",
        },
        "source": "trained on drawn scenes by tools/train_demo_model.py",
        "examples": EXAMPLES,
        "files": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("text.onnx", "tokenizer.json", "vision.onnx")
        },
    }
    (folder / "model.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _export(tower: nn.Module, example: torch.Tensor, free: dict[int, object], path: Path) -> None:
    name = "ids" if example.dtype == torch.long else "pixels"
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        torch.onnx.export(
            tower,
            (example,),
            whole,
            input_names=[name],
            output_names=["vectors"],
            dynamic_shapes=(free,),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(whole)
    _halve(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _halve(model: onnx.ModelProto) -> None:
    """Store weights as float16, each with a Cast back, and drop what only debuggers read."""
    graph, casts = model.graph, []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALL or not np.isfinite(values).all():
            continue
        name, half = weight.name, f"{weight.name}_half"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:], graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
    graph.node.extend(nodes)
