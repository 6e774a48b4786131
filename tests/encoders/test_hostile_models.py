"""Model folders of others: no weights from elsewhere, nothing that never ends, no vectors without a direction."""

import hashlib
import json
import shutil
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.campaigns.damage import damaged

from pairdex.encoders.encoder import Encoder
from pairdex.encoders.graph import check_graph
from pairdex.encoders.model import BUILT_IN, load_model
from pairdex.encoders.text import TextTokenizer
from pairdex.errors import DamagedFile, PairdexError, UnsupportedFormat

DIM = 64


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(load_model(BUILT_IN).folder, tmp_path / "model")
    return tmp_path / "model"


def seal(folder, name):
    """Let model.json say the checksum that a file has now."""
    path = folder / "model.json"
    content = json.loads(path.read_text())
    content["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(content))


def constant_model(value, *, nodes=(), functions=()):
    """A text tower that gives each row the same vector, and further nodes that nobody asks for."""
    row = numpy_helper.from_array(np.full((1, DIM), value, np.float32), "row")
    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["ids"], ["shape"], start=0, end=1),
            helper.make_node("Concat", ["shape", "dim"], ["wanted"], axis=0),
            helper.make_node("Expand", ["row", "wanted"], ["vectors"]),
            *nodes,
        ],
        "text",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", DIM])],
        [row, numpy_helper.from_array(np.array([DIM]), "dim")],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=list(functions))


def with_text_model(folder, model):
    (folder / "text.onnx").write_bytes(model.SerializeToString())
    seal(folder, "text.onnx")
    return Encoder(load_model(folder))


def loop(operator):
    inner = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["on"])],
        "for ever",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    return helper.make_node(operator, ["", ""], [], body=inner)


def test_the_models_that_come_with_the_package_pass():
    model = load_model(BUILT_IN)
    check_graph(model.text_file)
    check_graph(model.vision_file)


def test_an_ordinary_graph_runs(folder):
    vectors = with_text_model(folder, constant_model(1.0)).encode_texts(["a", "b"])
    np.testing.assert_allclose(vectors, np.full((2, DIM), 1 / 8), rtol=1e-6)


@pytest.mark.parametrize("place", ["initializer", "attribute", "sparse", "nested"])
def test_weights_in_another_file_are_refused(folder, tmp_path, place):
    (tmp_path / "secret").write_bytes(b"x" * 4096)
    tensor = TensorProto(name="row", data_type=TensorProto.FLOAT, dims=[1, DIM])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    model = constant_model(1.0)
    if place == "initializer":
        model.graph.initializer[0].CopyFrom(tensor)
    elif place == "attribute":
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    else:
        inner = helper.make_graph([], "inner", [], [], [tensor])
        model.graph.node.append(helper.make_node("Odd", [], ["c"], body=inner))
    encoder = with_text_model(folder, model)
    with pytest.raises(UnsupportedFormat, match=r"text\.onnx keeps weights in another file"):
        encoder.encode_texts(["a"])


@pytest.mark.parametrize("operator", ["Loop", "Scan", "If", "SequenceMap"])
def test_loops_and_branches_are_refused_by_name(folder, operator):
    encoder = with_text_model(folder, constant_model(1.0, nodes=[loop(operator)]))
    with pytest.raises(UnsupportedFormat, match=rf"text\.onnx has a node {operator}"):
        encoder.encode_texts(["a"])


def test_functions_are_refused(folder):
    own = helper.make_function(
        "here", "f", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    encoder = with_text_model(folder, constant_model(1.0, functions=[own]))
    with pytest.raises(UnsupportedFormat, match="functions of its own"):
        encoder.encode_texts(["a"])


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), 3e38])
def test_a_question_without_a_direction_is_refused_by_its_row(folder, value):
    encoder = with_text_model(folder, constant_model(value))
    with pytest.raises(DamagedFile, match=r"text\.onnx gives zeros or numbers .* for row 0 of 2"):
        encoder.encode_texts(["a", "b"])
    captions = encoder.encode_captions(["a"])  # `build` drops the row, and says so
    assert captions.shape == (1, DIM)


def test_a_tokenizer_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr("pairdex.encoders.text._CALL_SECONDS", 0.2)
    ended = threading.Event()
    tokenizer = TextTokenizer(load_model(BUILT_IN))

    class Endless:
        def encode_batch(self, *_, **__):
            ended.wait()
            return []

    tokenizer._tokenizer = Endless()
    with pytest.raises(DamagedFile, match=r"tokenizer\.json cannot be used: it takes longer than"):
        tokenizer.ids(["a"])
    ended.set()


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b'{"version": 5}', b"\xff"])
def test_a_broken_tokenizer_ends_in_one_line(folder, content):
    (folder / "tokenizer.json").write_bytes(content)
    seal(folder, "tokenizer.json")
    with pytest.raises(DamagedFile, match=r"tokenizer\.json cannot be used") as raised:
        Encoder(load_model(folder)).encode_texts(["a"])
    assert str(raised.value).isprintable()


def test_damaged_graphs_end_in_one_line(folder):
    whole = constant_model(1.0).SerializeToString()
    for said, changed in damaged(whole, 11, 60):
        (folder / "text.onnx").write_bytes(changed)
        seal(folder, "text.onnx")
        try:
            Encoder(load_model(folder)).encode_texts(["a"])
        except PairdexError as error:
            line = str(error)
        else:
            line = "it runs all the same"
        assert line.isprintable(), said


def test_a_picture_gets_a_vector_of_unit_length():
    vectors = Encoder(load_model(BUILT_IN)).encode_images([Image.new("RGB", (9, 9), "red")])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert onnx.__version__
