"""The tour of docs/models.md runs as it stands."""

import re
import shlex

import numpy as np
import pytest

import pairdex
from pairdex.demo.pictures import draw_pictures
from places import DOCS

DOC = (DOCS / "models.md").read_text()


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Pictures, a random CLIP in Hugging Face's form, and heads for its vectors."""
    pytest.importorskip("torch", reason="a model is made with PyTorch")
    pytest.importorskip("transformers", reason="a model is made with transformers")
    pytest.importorskip("onnx", reason="the extra `export` is not installed")
    import published_models as published

    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path / "my-pictures", count=40, seed=1)
    published.hugging_face_clip(tmp_path / "my-clip")
    np.savez("aesthetic-head.npz", weight=np.ones((1, 16)), bias=np.array([5.0]))
    layer = {"linear_1.weight": np.ones((1, 16)), "linear_1.bias": np.zeros(1)}
    norm = {"norm.mean": np.full(16, 0.01), "norm.variance": np.full(16, 0.06)}
    np.savez("nsfw-head.npz", **norm, **layer)
    return tmp_path


def test_every_command_of_the_tour_succeeds(workplace, run):
    block = re.search(r"## A tour\n\n```\n(.*?)```", DOC, re.S)[1]
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    for _, *arguments in lines:
        ended = run(*arguments)
        assert ended.status == 0, (arguments, ended.err)
    assert len(lines) == 10
    assert pairdex.open(workplace / "collection-clip").columns[-2:] == ["aesthetic", "punsafe"]


def test_the_int8_model_is_refused_for_the_float32_collection(workplace, run):
    run("model", "export", "my-clip", "f32")
    run("model", "export", "my-clip", "int8", "--int8")
    run("encode", "my-pictures", "parts", "--model", "f32")
    run("build", "parts", "collection")
    complaint = run("encode", "my-pictures", "parts", "--model", "int8").complaint
    assert "holds parts of the model my-clip" in complaint
    assert "asked for is my-clip-int8" in complaint
    run("encode", "my-pictures", "parts8", "--model", "int8")
    assert "has the model my-clip" in run("build", "parts8", "collection").complaint
    query = ["search", "collection", "--text", "a cat", "--model", "int8"]
    assert "use the collection's own model" in run(*query).complaint
