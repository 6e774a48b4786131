"""Names of published models lead to the cache, and to their repositories."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from pairdex.encoders.first_use import model_place
from pairdex.encoders.known_models import KNOWN, find_known, find_repository
from pairdex.encoders.model import load_model


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ViT-B/32", "ViT-B/32"),
        ("vit-b/32", "ViT-B/32"),
        ("ViT-B-32-quickgelu", "ViT-B/32"),
        ("ViT-B-32/openai", "ViT-B/32"),
        ("openai/clip-vit-large-patch14", "ViT-L/14"),
        ("ViT-L-14-quickgelu/openai", "ViT-L/14"),
        ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32/laion2b_s34b_b79k"),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "ViT-B-32/laion2b_s34b_b79k"),
    ],
)
def test_a_model_is_known_by_all_its_names(name, known):
    assert find_known(name).name == known


def test_open_clips_name_without_weights_or_quickgelu_is_no_model():
    assert find_known("ViT-B-32") is None
    assert find_known("ViT-B-32/laion400m_e32") is None


def test_no_name_and_no_folder_stands_for_two_models():
    names = [name.lower() for model in KNOWN for name in {*model.names}]
    assert len(names) == len(set(names))
    assert len({model.folder for model in KNOWN}) == len(KNOWN)
    assert all("/" not in model.folder for model in KNOWN)


def test_a_pinned_checksum_comes_with_the_commit_that_has_it():
    for model in KNOWN:
        assert re.fullmatch(r"main|[0-9a-f]{40}", model.revision)
        assert model.sha256 is None or re.fullmatch("[0-9a-f]{64}", model.sha256)
        assert model.sha256 is None or model.revision != "main"


def test_open_clip_names_the_same_repositories_and_activations():
    """open_clip's own table is the source; its module needs PyTorch, so its text is read."""
    package = find_spec("open_clip")
    if package is None:
        pytest.skip("pip install --no-deps open_clip_torch: its table is not installed")
    text = (Path(*package.submodule_search_locations) / "pretrained.py").read_text()
    for model in KNOWN:
        if model.activation is None:
            continue
        entry = text[text.index(f"{model.repository}/") :]
        quick = "quick_gelu=True" in entry[: entry.index("_pcfg(")]
        assert quick == (model.activation == "quick_gelu"), model


@pytest.mark.parametrize(
    ("name", "repository", "revision"),
    [
        ("timm/vit", "timm/vit", "main"),
        ("timm/vit@v1.0", "timm/vit", "v1.0"),
    ],
)
def test_a_repository_is_a_model_too(name, repository, revision):
    found = find_repository(name)
    assert (found.name, found.repository, found.revision) == (name, repository, revision)


@pytest.mark.parametrize("name", ["ViT-X", "a/b/c", "../b", "a/..", "/a/b", "a/b@", "demo"])
def test_other_names_are_no_repositories(name):
    assert find_repository(name) is None


def test_a_folder_takes_precedence_over_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PAIRDEX_MODELS", str(tmp_path / "cache"))
    (tmp_path / "cache/ViT-B-32").mkdir(parents=True)
    assert model_place("ViT-B/32") == tmp_path / "cache/ViT-B-32"
    assert model_place("demo") == "demo"
    assert model_place("my-model") == "my-model"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ViT-B/32").mkdir(parents=True)
    assert model_place("ViT-B/32") == "ViT-B/32"


def test_the_commands_look_into_the_cache_of_the_user(tmp_path, run, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    missing = run("encode", tmp_path, tmp_path / "parts", "--model", "ViT-B/32").complaint
    assert f"the model ViT-B/32 is not in {tmp_path}/pairdex/models" in missing
    monkeypatch.setenv("PAIRDEX_MODELS", str(tmp_path / "models"))
    shutil.copytree(load_model("demo").folder, tmp_path / "models/ViT-B-32")
    nothing = run("encode", tmp_path / "none", tmp_path / "parts", "--model", "ViT-B/32").complaint
    assert "none is not a folder" in nothing  # the model was found
    unknown = run("encode", tmp_path, tmp_path / "parts", "--model", "ViT-X").complaint
    assert "the model ViT-X does not exist; expected demo" in unknown
