"""A model folder is read whole or refused, naming the file."""

import hashlib
import json
import shutil

import pytest

from pairdex.encoders.model import BUILT_IN, load_model
from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(load_model(BUILT_IN).folder, tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder, *keys, value):
    """Set a field of model.json; `...` removes it."""
    path = folder / "model.json"
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_the_built_in_model_loads_and_records_no_folder():
    model = load_model(BUILT_IN)
    assert model.record() == {
        "name": "demo",
        "dim": 64,
        "checksum": model.checksum,
        "folder": None,
    }
    assert len(model.checksum) == 64
    assert model.examples


def test_a_copy_of_a_model_is_the_same_model_in_another_place(folder):
    copy, model = load_model(folder), load_model(BUILT_IN)
    assert copy.checksum == model.checksum
    assert copy.record()["folder"] == str(folder)


@pytest.mark.parametrize("name", ["text.onnx", "vision.onnx", "tokenizer.json", "model.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(MissingFile, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", ["text.onnx", "vision.onnx", "tokenizer.json"])
def test_a_flipped_byte_is_found_and_its_file_named(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(DamagedFile, match=f"{name} has the SHA-256 .* altered or of another model"):
        load_model(folder)


def test_a_truncated_manifest_is_refused(folder):
    path = folder / "model.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedFile, match=r"model\.json is damaged"):
        load_model(folder)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["dim"], ..., "lacks the field dim"),
        (["dim"], 0, "dim is 0, expected an integer of at least 1"),
        (["dim"], True, "dim is True, expected an integer"),
        (["name"], "", "name is '', expected a text"),
        (["image"], 3, "image is not a JSON object"),
        (["image", "size"], "48", "image.size is '48', expected an integer"),
        (["image", "resize_mode"], "pad", "image.resize_mode is 'pad', expected crop or squash"),
        (["image", "mean"], [0.5, 0.5], "image.mean is .*, expected three numbers"),
        (["image", "mean"], [0.5, 0.5, None], "image.mean is .*, expected three numbers"),
        (["image", "std"], [0.5, 0.5, 0], "image.std is .*, expected three positive numbers"),
        (["text", "context_length"], 1, "text.context_length is 1, expected .* at least 2"),
        (["text", "bos_id"], -1, "text.bos_id is -1, expected an integer of at least 0"),
        (["text", "pad"], None, "text.pad is None, expected dynamic or fixed"),
        (["files", "text.onnx"], ..., "lacks the field files.text.onnx"),
        (["examples"], ["a", 1], "examples is .*, expected a list of texts"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(folder, keys, value, message):
    rewrite(folder, *keys, value=value)
    with pytest.raises(DamagedFile, match=message):
        load_model(folder)


def test_a_manifest_that_is_no_object_is_refused(folder):
    (folder / "model.json").write_text("[]")
    with pytest.raises(DamagedFile, match="not a JSON object"):
        load_model(folder)


def test_a_newer_format_is_refused(folder):
    rewrite(folder, "format", value=2)
    with pytest.raises(UnsupportedFormat, match="format 2, this release knows up to 1; upgrade"):
        load_model(folder)


def test_a_name_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(
        MissingFile, match="the model ViT-B-32 does not exist; expected demo, the name"
    ):
        load_model("ViT-B-32")
    with pytest.raises(MissingFile, match=r"it has no model\.json"):
        load_model(tmp_path)


def test_other_preprocessing_makes_another_model(folder):
    rewrite(folder, "image", "mean", value=[0.5, 0.5, 0.5])
    assert load_model(folder).checksum != load_model(BUILT_IN).checksum


def test_other_examples_make_no_other_model(folder):
    rewrite(folder, "examples", value=...)
    assert load_model(folder).checksum == load_model(BUILT_IN).checksum
    assert load_model(folder).examples == ()


def test_the_manifest_of_the_built_in_model_has_the_sums_of_its_files():
    folder = load_model(BUILT_IN).folder
    for name, said in json.loads((folder / "model.json").read_text())["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == said
