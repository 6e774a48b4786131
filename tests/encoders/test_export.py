"""Exported models give the vectors of the libraries that they were published for."""

import gzip
import hashlib
import importlib
import importlib.util
import json
import shutil
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

pytest.importorskip("torch", reason="exported models are compared with PyTorch's")
pytest.importorskip("transformers", reason="exported models are compared with transformers")
pytest.importorskip("onnx", reason="the extra `export` is not installed")

import torch

import published_models as published
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.export import tokenizers
from pairdex.encoders.export.export import export_model
from pairdex.encoders.export.tokenizers import clip_tokenizer
from pairdex.encoders.model import load_model
from pairdex.encoders.text import TextTokenizer, clean
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingExtra,
    MissingFile,
    UnsupportedFormat,
)
from published_models import CONTEXT, EOT, TEXTS, TOKENS, library_vectors, unit

TOLERANCE = 1e-5
CLIP_TOKENIZER_SHA256 = "0e3e3a5bd913ca87a6f96bdfb4985d5e7fbc55a66823bba70f7667264bdec618"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A Hugging Face CLIP: its folder and model; not to be changed."""
    folder = tmp_path_factory.mktemp("clip") / "hf"
    return folder, published.hugging_face_clip(folder)


@pytest.fixture(scope="module")
def exported(clip, tmp_path_factory):
    """The same, exported."""
    target = tmp_path_factory.mktemp("exported") / "model"
    export_model(clip[0], target)
    return target


@pytest.fixture(scope="module")
def vocabulary():
    """CLIP's vocabulary, of the package that ships it."""
    package = importlib.util.find_spec("open_clip")
    if package is None:
        pytest.skip("pip install --no-deps open_clip_torch: CLIP's vocabulary is not installed")
    return Path(*package.submodule_search_locations) / "bpe_simple_vocab_16e6.txt.gz"


def compared(model, folder, *, fixed=False):
    encoder = Encoder(load_model(folder), device="cpu")
    texts, pixels, images = library_vectors(model, encoder, fixed=fixed)
    return (
        np.abs(encoder.encode_captions(TEXTS) - texts).max(),
        np.abs(encoder.encode_pixels(pixels) - images).max(),
    )


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_a_hugging_face_clip_gives_its_own_vectors(tmp_path, activation):
    model = published.hugging_face_clip(tmp_path / "hf", activation=activation)
    report = export_model(tmp_path / "hf", tmp_path / "model")
    assert max(compared(model, tmp_path / "model")) < TOLERANCE
    assert (report.dim, report.activation, report.precision) == (16, activation, "float32")
    assert report.files == ["model.json", "text.onnx", "tokenizer.json", "vision.onnx"]


def test_the_legacy_end_mark_of_2_means_the_highest_id(tmp_path, clip):
    folder = published.copy_of(clip[0], tmp_path / "hf")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    export_model(folder, tmp_path / "model")
    legacy = type(clip[1]).from_pretrained(folder).eval()
    assert max(compared(legacy, tmp_path / "model")) < TOLERANCE
    assert load_model(tmp_path / "model").text.eot_id == EOT


def test_a_siglip_gives_its_own_vectors_at_its_full_length(tmp_path):
    model = published.hugging_face_siglip(tmp_path / "hf")
    report = export_model(tmp_path / "hf", tmp_path / "model")
    assert max(compared(model, tmp_path / "model", fixed=True)) < TOLERANCE
    loaded = load_model(tmp_path / "model")
    assert (report.kind, report.dim) == ("Hugging Face SigLIP", 24)
    assert (loaded.text.pad, loaded.text.context_length) == ("fixed", CONTEXT)
    assert (loaded.image.resize_mode, loaded.text.cleaning) == ("squash", "siglip")
    assert TextTokenizer(loaded).ids(["A car!"]) == TextTokenizer(loaded).ids(["a  car"])


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_an_open_clip_folder_gives_the_vectors_of_the_same_weights(tmp_path, quick_gelu):
    activation = "quick_gelu" if quick_gelu else "gelu"
    model = published.hugging_face_clip(tmp_path / "hf", activation=activation)
    folder = published.open_clip_folder(tmp_path / "oc", model, quick_gelu=quick_gelu)
    export_model(folder, tmp_path / "model")
    assert max(compared(model, tmp_path / "model")) < TOLERANCE
    assert load_model(tmp_path / "model").image.mean == (0.4, 0.5, 0.6)


def test_a_siglip_2_gives_its_own_vectors_of_its_own_ids(tmp_path):
    model, tokenizer = published.hugging_face_siglip_2(tmp_path / "hf")
    report = export_model(tmp_path / "hf", tmp_path / "model")
    compared(model, tmp_path / "model", fixed=True)
    loaded = load_model(tmp_path / "model")
    assert (report.kind, report.dim) == ("Hugging Face SigLIP 2", 24)
    assert (loaded.image.resize_mode, loaded.image.interpolation) == ("squash", "bilinear")
    assert (loaded.text.pad_id, loaded.text.eot_id, loaded.text.bos_id) == (0, 1, None)
    for text in ("A Car!", "caf\u00e9 & a cat", "car " * 30):
        (ids,) = TextTokenizer(loaded).ids([text])
        theirs = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == [*theirs[: CONTEXT - 1], 1]  # the end is kept where a text is cut


def test_a_siglip_with_a_tokenizer_of_another_kind_is_refused(tmp_path):
    published.hugging_face_siglip(tmp_path / "hf")
    (tmp_path / "hf/tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(UnsupportedFormat, match="the tokenizer is a BertTokenizer, expected one"):
        export_model(tmp_path / "hf", tmp_path / "model")


def test_clips_vocabulary_gives_the_same_tokenizer_in_every_form(tmp_path, vocabulary):
    ours = json.loads(clip_tokenizer(vocabulary.parent))
    pieces, merges = ours["model"]["vocab"], ours["model"]["merges"]
    backwards = dict(sorted(pieces.items(), reverse=True))
    for form in ("whole", "pair"):
        (tmp_path / form).mkdir()
    other = ours | {"post_processor": None, "normalizer": None}
    other["model"] = ours["model"] | {"vocab": backwards, "merges": [" ".join(m) for m in merges]}
    (tmp_path / "whole/tokenizer.json").write_text(json.dumps(other))
    (tmp_path / "pair/vocab.json").write_text(json.dumps(backwards))
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    (tmp_path / "pair/merges.txt").write_text("\n".join(lines))
    for form in ("whole", "pair"):
        found = tokenizers.tokenizer_of(tmp_path / form)
        assert hashlib.sha256(found).hexdigest() == CLIP_TOKENIZER_SHA256


class _TorchScript(torch.nn.Module):
    """A module that holds the tensors of a state dict under their names."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            module = self
            for one in path:
                if one not in module._modules:
                    module.add_module(one, torch.nn.Module())
                module = module._modules[one]
            module.register_buffer(last, tensor)

    def forward(self, x):
        return x


def openai_model(tmp_path):
    """A CLIP with OpenAI's vocabulary and heads of 64: its tensors, and the same for transformers."""
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 1, "max_position_embeddings": 77}  # fmt: skip
    vision = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1,
              "num_attention_heads": 1, "image_size": 32, "patch_size": 16}  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    model = published.randomise(CLIPModel(config))
    return model, published.as_openai(model)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["TorchScript", "state dict", "checkpoint"])
def test_the_pt_of_openai_gives_the_vectors_of_the_same_weights(tmp_path, vocabulary, form):
    model, tensors = openai_model(tmp_path)
    path = tmp_path / "ViT-T-16.pt"
    if form == "TorchScript":
        halves = {name: t.half() if t.ndim > 1 else t for name, t in tensors.items()}
        extra = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(77)}
        torch.jit.script(_TorchScript(halves | extra)).save(str(path))
        model.load_state_dict(
            {n: t.half().float() if t.ndim > 1 else t for n, t in model.state_dict().items()}
        )
    elif form == "state dict":
        torch.save(tensors, path)
    else:
        torch.save({"epoch": 1, "state_dict": {f"module.{n}": t for n, t in tensors.items()}}, path)
    report = export_model(path, tmp_path / "model")
    assert (report.model, report.kind, report.activation) == ("ViT-T-16", "OpenAI", "quick_gelu")
    assert max(compared(model, tmp_path / "model")) < (1e-3 if form == "TorchScript" else TOLERANCE)


def test_clips_vocabulary_is_read_from_the_model_or_from_an_installed_package(
    tmp_path, vocabulary, monkeypatch
):
    installed = clip_tokenizer(tmp_path)
    monkeypatch.setattr(tokenizers, "_PACKAGES", ("no_such_package",))
    with pytest.raises(MissingExtra, match="pip install --no-deps open_clip_torch"):
        clip_tokenizer(tmp_path)
    shutil.copy(vocabulary, tmp_path)
    assert clip_tokenizer(tmp_path) == installed
    assert "open_clip" not in sys.modules


def test_another_vocabulary_than_the_published_one_is_refused(tmp_path):
    path = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    path.write_bytes(gzip.compress(b"#version\na b\n"))
    with pytest.raises(DamagedFile, match="differs from the published vocabulary"):
        clip_tokenizer(tmp_path)


def test_clips_own_tokenizer_gives_the_known_ids_and_bytes(tmp_path, vocabulary):
    data = clip_tokenizer(tmp_path)
    assert hashlib.sha256(data).hexdigest() == CLIP_TOKENIZER_SHA256
    content = json.loads(data)
    assert len(content["model"]["vocab"]) == 49_408
    (tmp_path / "tokenizer.json").write_bytes(data)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    # As openai/CLIP's README and its tests give them.
    assert tokenizer.encode(clean("a diagram"), add_special_tokens=False).ids == [320, 22697]
    assert tokenizer.encode(clean("Hello World!"), add_special_tokens=False).ids == [
        3306,
        1002,
        256,
    ]
    assert content["model"]["vocab"]["<|startoftext|>"] == 49_406


def test_the_same_weights_give_the_same_bytes_whatever_the_form_of_their_file(
    tmp_path, clip, exported
):
    folder = published.copy_of(clip[0], tmp_path / "hf")
    (folder / "model.safetensors").unlink()
    torch.save(clip[1].state_dict(), folder / "pytorch_model.bin")
    export_model(folder, tmp_path / "model")
    for name in ("text.onnx", "vision.onnx", "tokenizer.json"):
        assert (tmp_path / "model" / name).read_bytes() == (exported / name).read_bytes()
    assert load_model(tmp_path / "model").checksum == load_model(exported).checksum


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_read_as_they_are(tmp_path, clip, kind):
    model = type(clip[1])(clip[1].config)
    model.load_state_dict({name: t.to(kind).float() for name, t in clip[1].state_dict().items()})
    folder = published.copy_of(clip[0], tmp_path / "hf")
    model.to(kind).save_pretrained(folder)
    export_model(folder, tmp_path / "model")
    assert max(compared(model.float().eval(), tmp_path / "model")) < TOLERANCE


def test_padding_changes_no_text_vector(exported):
    encoder = Encoder(load_model(exported), device="cpu")
    together = encoder.encode_captions(TEXTS)
    alone = np.concatenate([encoder.encode_captions([text]) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-6


def test_an_activation_can_be_given_instead_of_the_one_that_is_said(tmp_path, clip, exported):
    report = export_model(clip[0], tmp_path / "model", activation="gelu", name="other")
    assert (report.activation, report.model) == ("gelu", "other")
    assert report.checksum != load_model(exported).checksum


def test_int8_is_another_model_that_says_so(tmp_path, clip, exported):
    report = export_model(clip[0], tmp_path / "model", int8=True)
    assert (report.precision, report.model) == ("int8", "hf-int8")
    small, whole = load_model(tmp_path / "model"), load_model(exported)
    assert (small.precision, whole.precision) == ("int8", "float32")
    assert small.checksum != whole.checksum
    size = [(folder / "vision.onnx").stat().st_size for folder in (tmp_path / "model", exported)]
    assert size[0] < 0.75 * size[1]
    near = Encoder(small).encode_captions(TEXTS) * Encoder(whole).encode_captions(TEXTS)
    assert (near.sum(axis=1) > 0.97).all()


def damaged(clip, tmp_path, file, content):
    folder = published.copy_of(clip[0], tmp_path / "hf")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("file", "content", "error", "words"),
    [
        ("model.safetensors", None, MissingFile, "has no weights in one file; expected model.safe"),
        ("model.safetensors", b"", DamagedFile, "not a complete safetensors file"),
        ("model.safetensors", b"\xff" * 8, DamagedFile, "its header is longer than the file"),
        ("model.safetensors", b"\x02" + bytes(7) + b"{}", DamagedFile, "lacks the tensor|no whole"),
        ("config.json", b"{", DamagedFile, r"config\.json is not JSON"),
        (
            "config.json",
            b'{"model_type": "bert"}',
            UnsupportedFormat,
            "a model of type bert, expected",
        ),
        ("tokenizer.json", None, MissingFile, "has no tokenizer.json; make it with transformers"),
        ("tokenizer.json", b"{}", DamagedFile, "is not a tokenizer"),
    ],
)
def test_missing_and_damaged_files_are_named(clip, tmp_path, file, content, error, words):
    folder = damaged(clip, tmp_path, file, content)
    with pytest.raises(error, match=words):
        export_model(folder, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf"]


def test_a_truncated_safetensors_file_is_refused(clip, tmp_path):
    whole = (clip[0] / "model.safetensors").read_bytes()
    folder = damaged(clip, tmp_path, "model.safetensors", whole[:-100])
    with pytest.raises(DamagedFile, match="does not fit its"):
        export_model(folder, tmp_path / "model")


def test_a_tokenizer_of_another_model_is_refused(clip, tmp_path, vocabulary):
    folder = damaged(clip, tmp_path, "tokenizer.json", clip_tokenizer(vocabulary.parent))
    with pytest.raises(Mismatch, match=rf"has 49,408 tokens, the model knows {TOKENS}"):
        export_model(folder, tmp_path / "model")


def test_a_tensor_of_another_shape_or_one_too_many_is_refused(clip, tmp_path):
    folder = published.copy_of(clip[0], tmp_path / "hf")
    (folder / "model.safetensors").unlink()
    tensors = dict(clip[1].state_dict())
    torch.save(tensors | {"extra.weight": torch.ones(1)}, folder / "pytorch_model.bin")
    with pytest.raises(UnsupportedFormat, match=r"unsupported parts \(extra.weight"):
        export_model(folder, tmp_path / "model")
    torch.save(
        tensors | {"text_projection.weight": torch.ones(16, 5)}, folder / "pytorch_model.bin"
    )
    with pytest.raises(DamagedFile, match=r"text_projection.weight has shape \(16, 5\), expected"):
        export_model(folder, tmp_path / "model")


def test_open_clip_settings_that_are_not_known_are_refused_by_name(clip, tmp_path):
    folder = published.open_clip_folder(tmp_path / "oc", clip[1], quick_gelu=True)
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "vit_base"
    path.write_text(json.dumps(config))
    with pytest.raises(
        UnsupportedFormat, match=r"vision_cfg.timm_model_name is 'vit_base', which is"
    ):
        export_model(folder, tmp_path / "model")


def test_files_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(MissingFile, match=r"does not exist; expected the folder or the \.pt"):
        export_model(tmp_path / "none", tmp_path / "model")
    with pytest.raises(UnsupportedFormat, match=r"neither config\.json"):
        export_model(tmp_path, tmp_path / "model")
    (tmp_path / "a.pt").write_bytes(b"no model")
    with pytest.raises(DamagedFile, match="cannot be read by PyTorch"):
        export_model(tmp_path / "a.pt", tmp_path / "model")
    torch.save({"visual.layer1.0.conv1.weight": torch.ones(1)}, tmp_path / "rn.pt")
    with pytest.raises(UnsupportedFormat, match="is a ResNet CLIP"):
        export_model(tmp_path / "rn.pt", tmp_path / "model")
    torch.save({"weight": torch.ones(1)}, tmp_path / "x.pt")
    with pytest.raises(UnsupportedFormat, match=r"it lacks visual\.conv1\.weight"):
        export_model(tmp_path / "x.pt", tmp_path / "model")


def test_a_folder_that_holds_something_is_left_alone(clip, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.txt").touch()
    with pytest.raises(InvalidArgument, match="exists and is not empty; name a new folder"):
        export_model(clip[0], tmp_path / "model")


def test_the_command_exports(clip, tmp_path, run):
    said = run("model", "export", clip[0], tmp_path / "model", "--json").json
    assert (said["model"], said["dim"]) == ("hf", 16)
    assert said["files"] == ["model.json", "text.onnx", "tokenizer.json", "vision.onnx"]
    again = ("model", "export", clip[0], tmp_path / "model")
    assert run(*again, "--int8").complaint.endswith("name a new folder")


def test_an_export_that_got_its_name_before_it_was_killed_is_done(clip, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(folder):
        if (tmp_path / "model").exists():
            raise Killed

    with monkeypatch.context() as at_the_end:
        at_the_end.setattr("pairdex.files.atomic.sync_folder", kill)
        with pytest.raises(Killed):
            export_model(clip[0], tmp_path / "model")
    inodes = [path.stat().st_ino for path in sorted((tmp_path / "model").iterdir())]
    report = export_model(clip[0], tmp_path / "model")
    assert report.checksum == load_model(tmp_path / "model").checksum
    assert [path.stat().st_ino for path in sorted((tmp_path / "model").iterdir())] == inodes
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_another_model_of_the_same_name_is_left_alone(clip, tmp_path):
    export_model(clip[0], tmp_path / "model", activation="gelu")
    before = load_model(tmp_path / "model").checksum
    with pytest.raises(InvalidArgument, match="exists and is not empty; name a new folder"):
        export_model(clip[0], tmp_path / "model")
    assert load_model(tmp_path / "model").checksum == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def open_clip(monkeypatch):
    """open_clip itself. What it imports of torchvision is replaced by nothing: no picture goes through it.

    Beside the PyTorch of a CPU the torchvision of PyPI cannot be imported, and breaks transformers.
    """
    if importlib.util.find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed")
    for name in ("", ".transforms", ".transforms.functional", ".ops", ".ops.misc"):
        stub = types.ModuleType(f"torchvision{name}")
        stub.__getattr__ = lambda name: MagicMock() if name == "InterpolationMode" else MagicMock
        stub.__path__ = []
        monkeypatch.setitem(sys.modules, stub.__name__, stub)
        parent, _, child = stub.__name__.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, stub)
    return importlib.import_module("open_clip")


def test_open_clip_itself_gives_the_same_vectors(open_clip, tmp_path):
    model = open_clip.model.CLIP(
        16,
        {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
        {"context_length": 77, "vocab_size": 49_408, "width": 64, "heads": 2, "layers": 2},
        quick_gelu=False,
    )
    published.randomise(model)
    config = {
        "model_cfg": {
            "embed_dim": 16,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
            "text_cfg": {"context_length": 77, "vocab_size": 49_408, "width": 64, "heads": 2, "layers": 2},
        }
    }  # fmt: skip
    folder = tmp_path / "oc"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    export_model(folder, tmp_path / "model")
    encoder = Encoder(load_model(tmp_path / "model"), device="cpu")
    pixels = np.random.default_rng(1).normal(0, 1, (5, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        texts = unit(model.encode_text(open_clip.tokenizer.tokenize(TEXTS)).numpy())
        images = unit(model.encode_image(torch.from_numpy(pixels)).numpy())
    assert np.abs(encoder.encode_captions(TEXTS) - texts).max() < TOLERANCE
    assert np.abs(encoder.encode_pixels(pixels) - images).max() < TOLERANCE
