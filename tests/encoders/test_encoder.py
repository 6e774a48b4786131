"""Texts and pictures become unit vectors, the same whatever stands beside them in a batch."""

import hashlib
import json
import shutil
from dataclasses import replace
from random import Random

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from pairdex.demo.scenes import draw_scene, random_scene
from pairdex.encoders.encoder import IMAGE_BATCH, TEXT_BATCH, Encoder
from pairdex.encoders.model import load_model
from pairdex.errors import DamagedFile, InvalidArgument, MissingExtra

TEXTS = ["cat", "a red car on the grass", "an orange mushroom", "x " * 60, "Smiley face"]
CLOSE = 2e-6  # batches of other shapes are summed in another order


@pytest.fixture(scope="module")
def model():
    return load_model("demo")


@pytest.fixture(scope="module")
def encoder(model):
    return Encoder(model, threads=2)


@pytest.fixture(scope="module")
def pictures():
    rng = Random(7)
    return [draw_scene(random_scene(rng), rng, pixels=64) for _ in range(IMAGE_BATCH + 3)]


def replaced(folder, name, data):
    """Put other bytes into a file of a model folder, with their checksum."""
    (folder / name).write_bytes(data)
    content = json.loads((folder / "model.json").read_text())
    content["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / "model.json").write_text(json.dumps(content))


def test_vectors_are_float32_of_unit_length(encoder, pictures):
    for vectors in (encoder.encode_texts(TEXTS), encoder.encode_images(pictures)):
        assert vectors.dtype == np.float32
        assert vectors.shape[1] == encoder.dim == 64
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_nothing_encoded_is_an_empty_array(encoder):
    assert encoder.encode_texts([]).shape == (0, 64)
    assert encoder.encode_images([]).shape == (0, 64)


def test_the_same_call_gives_the_same_bits(encoder, pictures):
    assert np.array_equal(encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS))
    assert np.array_equal(encoder.encode_images(pictures), encoder.encode_images(pictures))


def test_a_text_gets_the_same_vector_alone_as_among_others(encoder):
    together = encoder.encode_texts(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.allclose(encoder.encode_texts([text])[0], vector, atol=CLOSE)


def test_free_sequence_length_gives_the_vectors_of_full_padding(model, encoder):
    padded = Encoder(replace(model, text=replace(model.text, pad="fixed")), threads=2)
    assert np.allclose(padded.encode_texts(TEXTS), encoder.encode_texts(TEXTS), atol=CLOSE)


def test_what_the_padding_is_filled_with_changes_nothing(model, encoder):
    spec = replace(model.text, pad="fixed", pad_id=model.text.eot_id)
    assert np.allclose(
        Encoder(replace(model, text=spec)).encode_texts(TEXTS),
        encoder.encode_texts(TEXTS),
        atol=CLOSE,
    )


def test_many_texts_of_all_lengths_come_back_in_their_order(encoder):
    rng = Random(1)
    words = ["red", "car", "cat", "snow", "blue", "star"]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 30))) for _ in range(TEXT_BATCH + 50)]
    vectors = encoder.encode_texts(texts)
    for i in range(0, len(texts), 37):
        assert np.allclose(encoder.encode_texts([texts[i]])[0], vectors[i], atol=CLOSE)


def test_a_picture_gets_the_same_vector_alone_as_among_others(encoder, pictures):
    together = encoder.encode_images(pictures)
    for i in (0, IMAGE_BATCH - 1, IMAGE_BATCH + 2):
        assert np.allclose(encoder.encode_images([pictures[i]])[0], together[i], atol=CLOSE)


def test_pictures_of_any_mode_and_size_go_together(encoder):
    mixed = [Image.new("RGBA", (5, 300)), Image.new("1", (64, 64)), Image.new("CMYK", (31, 7))]
    assert encoder.encode_images(mixed).shape == (3, 64)


def test_the_number_of_threads_changes_no_vector(model, encoder, pictures):
    alone = Encoder(model, threads=1)
    assert np.allclose(alone.encode_images(pictures), encoder.encode_images(pictures), atol=CLOSE)


def test_only_the_tower_that_is_needed_is_opened(model):
    encoder = Encoder(model)
    encoder.encode_texts(["cat"])
    assert "_text" in vars(encoder)
    assert "_vision" not in vars(encoder)


def test_an_empty_query_is_refused_and_an_empty_caption_is_not(encoder):
    with pytest.raises(InvalidArgument, match="the text is empty"):
        encoder.encode_texts(["cat", " "])
    assert encoder.encode_captions(["cat", ""]).shape == (2, 64)


def test_a_caption_of_any_length_is_encoded(encoder):
    vectors = encoder.encode_captions(["cat " * 20_000])
    assert np.isfinite(vectors).all()


def test_no_threads_is_refused(model):
    with pytest.raises(InvalidArgument, match="threads is 0, expected at least 1"):
        Encoder(model, threads=0)


def test_cuda_without_a_gpu_build_says_what_to_install(model, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MissingExtra, match="pip install onnxruntime-gpu"):
        Encoder(model, device="cuda")
    assert Encoder(model, device="auto").encode_texts(["cat"]).shape == (1, 64)


def test_a_tower_that_is_no_onnx_is_named(model, tmp_path):
    shutil.copytree(model.folder, tmp_path / "model")
    replaced(tmp_path / "model", "text.onnx", b"no model at all")
    with pytest.raises(DamagedFile, match=r"text\.onnx cannot be (run|read)"):
        Encoder(load_model(tmp_path / "model")).encode_texts(["cat"])


def test_towers_swapped_by_mistake_are_named(model, tmp_path):
    shutil.copytree(model.folder, tmp_path / "model")
    replaced(tmp_path / "model", "text.onnx", model.vision_file.read_bytes())
    with pytest.raises(DamagedFile, match=r"text\.onnx cannot be (run|read)"):
        Encoder(load_model(tmp_path / "model")).encode_texts(["cat"])


def test_a_model_that_lies_about_its_dimension_is_refused(model):
    liar = Encoder(replace(model, dim=32))
    with pytest.raises(
        DamagedFile, match=r"vectors of shape \(1, 64\), model\.json says \(1, 32\)"
    ):
        liar.encode_texts(["cat"])
