"""Deliberately wrong models are distinguished from the model that made a collection's vectors."""

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import pairdex
from pairdex.encoders.activation_swap import swapped
from pairdex.encoders.agreement import of_similarities, of_vectors
from pairdex.encoders.encode import encode
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.model import load_model
from pairdex.errors import InvalidArgument, Mismatch, MissingFile
from pairdex.store.verify_model import verify_model

WORDS = [
    "red",
    "green",
    "blue",
    "small",
    "large",
    "car",
    "tree",
    "house",
    "boat",
    "flower",
    "cat",
    "fish",
    "sun",
    "left",
    "right",
    "above",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model with QuickGELU, and a collection of 60 pictures and captions that it encoded."""
    pytest.importorskip("torch", reason="models are made with PyTorch")
    pytest.importorskip("transformers", reason="models are made with transformers")
    pytest.importorskip("onnx", reason="the extra `export` is not installed")
    import published_models as published
    from pairdex.encoders.export.export import export_model

    root = tmp_path_factory.mktemp("made")
    model = published.hugging_face_clip(root / "hf")
    export_model(root / "hf", root / "model")
    export_model(root / "hf", root / "gelu", activation="gelu")
    export_model(root / "hf", root / "int8", int8=True)
    published.hugging_face_clip(root / "hf-other", seed=5)
    export_model(root / "hf-other", root / "other")
    tuned(model, root / "hf-tuned", published)
    export_model(root / "hf-tuned", root / "tuned")
    draw(root / "pictures")
    encode(root / "pictures", root / "parts", model=root / "model")
    pairdex.build(root / "parts", root / "collection")
    return root


def tuned(model, folder, published):
    """The same model a few steps of training later."""
    import torch

    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(published.TOKENIZER.read_bytes())
    later = type(model).from_pretrained(folder)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in later.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.015)
    later.save_pretrained(folder)


def draw(folder):
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file\tcaption"]
    for i in range(60):
        levels = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
        picture = Image.fromarray(levels).resize((70, 60), Image.Resampling.BICUBIC)
        picture.save(folder / f"{i}.png")
        caption = " ".join(rng.choice(WORDS, 6))
        lines.append(f"{i}.png\t{caption.upper() + ' &amp; more' if i % 4 == 0 else caption}")
    (folder / "captions.tsv").write_text("\n".join(lines) + "\n")


def edited(folder, target, **text):
    """A copy of a model that prepares texts differently."""
    shutil.copytree(folder, target)
    content = json.loads((target / "model.json").read_text())
    content["text"] |= text
    (target / "model.json").write_text(json.dumps(content))
    return target


def test_the_right_model_agrees_to_the_last_digits(made):
    report = verify_model(made / "collection")
    assert (report.verdict, report.recorded) == ("same", True)
    assert report.agreement > 0.999999
    assert (report.texts.same, report.pictures.same) == (1.0, 1.0)
    assert report.texts.rows == report.pictures.rows == 60
    assert report.similarity is None


def test_gelu_for_quick_gelu_is_found_and_proved(made):
    report = verify_model(made / "collection", model=made / "gelu")
    assert (report.verdict, report.recorded) == ("activation", False)
    assert report.agreement < 0.99999
    assert "GELU and QuickGELU are confused" in report.explanation


def test_quick_gelu_for_gelu_is_found_too(made, tmp_path):
    encode(made / "pictures", tmp_path / "parts", model=made / "gelu")
    pairdex.build(tmp_path / "parts", tmp_path / "collection")
    assert verify_model(tmp_path / "collection", model=made / "model").verdict == "activation"


def test_texts_that_were_not_cleaned_are_found(made, tmp_path):
    other = edited(made / "model", tmp_path / "other", cleaning="none")
    report = verify_model(made / "collection", model=other)
    assert report.verdict == "cleaning"
    assert report.explanation.endswith("with the cleaning openai")
    assert report.pictures.same == 1.0
    assert report.texts.same < 0.9


def test_an_int8_version_is_close_but_not_the_same(made):
    report = verify_model(made / "collection", model=made / "int8")
    assert report.verdict == "precision"
    assert report.agreement > 0.97


def test_a_later_checkpoint_is_related_and_another_model_is_not(made):
    related = verify_model(made / "collection", model=made / "tuned")
    assert related.verdict == "related"
    assert related.texts.recognised > 0.5
    other = verify_model(made / "collection", model=made / "other")
    assert other.verdict == "other"
    assert other.texts.recognised < 0.3


@pytest.mark.parametrize(
    ("name", "verdict"), [("model", "same"), ("gelu", "activation"), ("other", "other")]
)
def test_without_text_vectors_and_pictures_the_similarity_decides(made, tmp_path, name, verdict):
    parts = shutil.copytree(made / "parts", tmp_path / "parts")
    shutil.rmtree(parts / "text_emb")
    (parts / "pairdex.json").unlink()
    pairdex.build(parts, tmp_path / "collection")
    report = verify_model(tmp_path / "collection", model=made / name)
    assert (report.verdict, report.texts, report.pictures) == (verdict, None, None)
    assert report.similarity.rows == 60


def test_removed_rows_are_not_compared(made, tmp_path):
    collection = shutil.copytree(made / "collection", tmp_path / "collection")
    pairdex.remove(collection, where="id < 50", reason="test")
    assert verify_model(collection).texts.rows == 10


def test_the_sample_is_as_large_as_asked_and_chosen_by_the_seed(made):
    reports = [verify_model(made / "collection", sample=7, seed=seed) for seed in (1, 1, 2)]
    assert [one.texts.rows for one in reports] == [7, 7, 7]
    assert reports[0].texts == reports[1].texts != reports[2].texts
    with pytest.raises(InvalidArgument, match="sample is 0, expected at least 1"):
        verify_model(made / "collection", sample=0)


def test_a_model_of_another_dimension_is_refused(made):
    with pytest.raises(Mismatch, match="has vectors of 16 dimensions, the model demo makes 64"):
        verify_model(made / "collection", model="demo")


def test_a_collection_that_names_no_model_or_has_nothing_to_compare_says_so(
    tmp_path, make_parts, build
):
    build(make_parts(20, dim=64, columns=lambda _, n: {"url": ["u"] * n}), tmp_path / "collection")
    with pytest.raises(MissingFile, match="does not record which model made its vectors; name the"):
        verify_model(tmp_path / "collection")
    with pytest.raises(InvalidArgument, match="has neither captions nor local pictures"):
        verify_model(tmp_path / "collection", model="demo")
    build(
        make_parts(20, dim=64, text=False, folder="b", columns=lambda _, n: {"caption": ["c"] * n}),
        tmp_path / "images",
    )
    with pytest.raises(InvalidArgument, match="neither text vectors nor a column similarity"):
        verify_model(tmp_path / "images", model="demo")


def test_pictures_outside_their_folder_are_not_opened(made, tmp_path):
    parts = shutil.copytree(made / "parts", tmp_path / "parts")
    path = parts / "metadata/metadata_0.parquet"
    table = pq.read_table(path)
    outside = pa.array([str(made / "pictures" / "0.png")] * len(table))
    at = table.column_names.index("image_path")
    pq.write_table(table.set_column(at, "image_path", outside), path)
    note = json.loads((parts / "pairdex.json").read_text())
    note["pictures"] = str(tmp_path)
    (parts / "pairdex.json").write_text(json.dumps(note))
    pairdex.build(parts, tmp_path / "collection")
    assert verify_model(tmp_path / "collection").pictures is None


def test_deleted_and_damaged_pictures_are_skipped(made, tmp_path):
    pictures = shutil.copytree(made / "pictures", tmp_path / "pictures")
    encode(pictures, tmp_path / "parts", model=made / "model")
    pairdex.build(tmp_path / "parts", tmp_path / "collection")
    (pictures / "1.png").unlink()
    (pictures / "2.png").write_bytes(b"no picture")
    report = verify_model(tmp_path / "collection")
    assert (report.verdict, report.pictures.rows) == ("same", 58)


def test_the_command_prints_the_verdict_and_fails_on_another_model(made, run):
    said = run("model", "verify", made / "collection", "--sample", 9, "--json")
    assert (said.status, said.json["verdict"], said.json["texts"]["rows"]) == (0, "same", 9)
    assert "same: this model made the vectors" in run("model", "verify", made / "collection").out
    wrong = run("model", "verify", made / "collection", "--model", made / "gelu", "--json")
    assert wrong.json["verdict"] == "activation"
    assert "is activation: the right weights, but the wrong activation" in wrong.complaint


def test_swapping_the_activation_twice_gives_the_first_vectors(made, tmp_path):
    once = swapped((made / "gelu/text.onnx").read_bytes())
    twice = swapped(once)
    there = edited(made / "gelu", tmp_path / "twice")
    (there / "text.onnx").write_bytes(twice)
    content = json.loads((there / "model.json").read_text())
    content["files"]["text.onnx"] = hashlib.sha256(twice).hexdigest()
    (there / "model.json").write_text(json.dumps(content))
    texts = ["a cat", "a red car left of a tree"]
    old, new = (Encoder(load_model(p)).encode_texts(texts) for p in (made / "gelu", there))
    assert np.abs(old - new).max() < 1e-5
    assert np.abs(old - Encoder(load_model(made / "model")).encode_texts(texts)).max() > 1e-3


def test_agreement_of_hand_made_vectors():
    old = np.array([[1, 0], [0, 1], [1, 0], [0.6, 0.8]], np.float16)
    found = of_vectors(old, np.array([[2, 0], [0, 3], [1, 0], [0, 1]], np.float32))
    assert (found.rows, found.same, found.recognised) == (4, 0.75, 0.75)
    assert found.median == 1.0
    close = of_similarities(np.array([0.3, 0.4, 0.5]), np.array([0.302, 0.4, 0.6]))
    assert close.same == pytest.approx(2 / 3)
    assert close.recognised > 0.9
    assert of_similarities(np.array([0.3]), np.array([0.3])).recognised == 0.0
