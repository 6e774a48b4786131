"""Names of published models lead to the cache, or to the commands that fill it."""

import re

import pytest

from pairdex.encoders.known_models import KNOWN, cached_model, find_known
from pairdex.encoders.model import load_model
from pairdex.errors import MissingFile


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
    names = [name.lower() for model in KNOWN for name in (model.name, *model.others)]
    assert len(names) == len(set(names))
    assert len({model.folder for model in KNOWN}) == len(KNOWN)
    assert all("/" not in model.folder for model in KNOWN)


def test_a_model_that_is_not_in_the_cache_comes_with_the_exact_commands(tmp_path):
    with pytest.raises(MissingFile) as raised:
        cached_model("ViT-L-14-quickgelu/openai", tmp_path)
    commands = str(raised.value).partition("with: ")[2].split(" && ")
    assert re.fullmatch(r"curl -LO https://\S+/[0-9a-f]{64}/ViT-L-14\.pt", commands[0])
    assert commands[1] == "pip install 'pairdex[export]'"
    assert commands[2] == f"pairdex model export ViT-L-14.pt {tmp_path}/ViT-L-14 --name ViT-L/14"


def test_the_cache_a_folder_and_other_names_are_told_apart(tmp_path, monkeypatch):
    (tmp_path / "cache/ViT-B-32").mkdir(parents=True)
    assert cached_model("ViT-B/32", tmp_path / "cache") == tmp_path / "cache/ViT-B-32"
    assert cached_model("demo", tmp_path / "cache") == "demo"
    assert cached_model("my-model", tmp_path / "cache") == "my-model"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ViT-B/32").mkdir(parents=True)
    assert cached_model("ViT-B/32", tmp_path / "cache") == "ViT-B/32"


def test_the_commands_look_into_the_cache_of_the_user(tmp_path, run, monkeypatch):
    import shutil

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    missing = run("encode", tmp_path, tmp_path / "parts", "--model", "ViT-B/32").complaint
    assert f"the model ViT-B/32 is not in {tmp_path}/pairdex/models" in missing
    monkeypatch.setenv("PAIRDEX_MODELS", str(tmp_path / "models"))
    shutil.copytree(load_model("demo").folder, tmp_path / "models/ViT-B-32")
    nothing = run("encode", tmp_path / "none", tmp_path / "parts", "--model", "ViT-B/32").complaint
    assert "none is not a folder" in nothing  # the model was found
    unknown = run("encode", tmp_path, tmp_path / "parts", "--model", "ViT-X").complaint
    assert "the model ViT-X does not exist; expected demo or the folder of a model" in unknown
