"""A published model arrives from a hub verified, resumed and converted; what goes wrong is one line."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="models are made with PyTorch")
pytest.importorskip("transformers", reason="models are made with transformers")

import pairdex
import published_models as published
from loopback_hub import COMMIT, Hub
from pairdex.downloads.hub import Hub as HubAddress
from pairdex.encoders import known_models
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.known_models import KnownModel
from pairdex.encoders.model import load_model
from pairdex.errors import DamagedFile, FetchFailed, InvalidArgument, MissingFile

REPOSITORY = "timm/vit_small_clip.openai"


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """One random model in the forms of the hub: Hugging Face's, and timm's for open_clip."""
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("published")
    model = published.hugging_face_clip(root / "hf")
    place = published.open_clip_folder(root / "open_clip", model, quick_gelu=True)
    (place / "open_clip_pytorch_model.bin").unlink()
    save_file(published.as_openai(model), place / "open_clip_model.safetensors")
    (place / "README.md").write_text("a model card")
    return root, model


@pytest.fixture
def hub(forms, monkeypatch, tmp_path):
    """A hub that has them, and a user whose cache is empty."""
    world = Hub()
    world.put(REPOSITORY, forms[0] / "open_clip")
    world.put("openai/small", forms[0] / "hf")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", world.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    monkeypatch.setenv("PAIRDEX_MODELS", str(tmp_path / "models"))
    yield world
    world.stop()


@pytest.fixture
def known(hub, monkeypatch):
    """The catalogue knows the model as Small/8, by its checksum."""
    import hashlib

    data = hub.repositories[REPOSITORY]["open_clip_model.safetensors"]
    model = KnownModel(
        "Small/8",
        REPOSITORY,
        published.DIM,
        ("small/openai",),
        COMMIT,
        hashlib.sha256(data).hexdigest(),
        len(data),
        "quick_gelu",
    )
    monkeypatch.setattr(known_models, "KNOWN", (*known_models.KNOWN, model))
    return model


def is_library_of(model, folder):
    encoder = Encoder(load_model(folder), device="cpu")
    texts, pixels, images = published.library_vectors(model, encoder)
    assert np.abs(published.unit(encoder.encode_captions(published.TEXTS)) - texts).max() < 1e-5
    assert np.abs(published.unit(encoder.encode_pixels(pixels)) - images).max() < 1e-5


def test_a_fetched_model_gives_the_vectors_of_its_library(hub, forms, tmp_path, capsys):
    report = pairdex.fetch_model(REPOSITORY)
    assert report.folder == str(tmp_path / "models/timm--vit_small_clip.openai")
    assert report.files == ["model.json", "text.onnx", "tokenizer.json", "vision.onnx"]
    assert (report.model, report.dim, report.already) == (REPOSITORY, published.DIM, False)
    is_library_of(forms[1], report.folder)
    assert not any((tmp_path / "models/.downloads").iterdir())
    assert not hub.asked("README.md")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    host = hub.url.removeprefix("http://")
    assert f"fetching the model {REPOSITORY}: {REPOSITORY}@{COMMIT[:8]} from {host}, " in line
    assert f", into {tmp_path / 'models'}" in line


def test_the_model_says_where_it_came_from(hub):
    report = pairdex.fetch_model(REPOSITORY)
    content = json.loads((load_model(report.folder).folder / "model.json").read_text())
    digest = hub.tree(REPOSITORY)[[e["path"] for e in hub.tree(REPOSITORY)].index(
        "open_clip_model.safetensors")]["lfs"]["oid"]  # fmt: skip
    assert content["source"].endswith(f"from {REPOSITORY}@{COMMIT}, SHA-256 {digest}")
    assert report.source == content["source"]


def test_both_forms_of_a_model_become_the_same_files(hub, tmp_path):
    folders = [
        tmp_path / "models" / name for name in ("openai--small", "timm--vit_small_clip.openai")
    ]
    for name in ("openai/small", REPOSITORY):
        pairdex.fetch_model(name)
    for file in ("text.onnx", "vision.onnx", "tokenizer.json"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()
    assert not hub.asked("openai/small/resolve/main/")  # by commit: all files are of one version


def test_a_model_in_the_cache_is_not_fetched_again(hub, known):
    pairdex.fetch_model("Small/8")
    before = len(hub.requests)
    report = pairdex.fetch_model("small/openai")
    assert (report.already, report.received, len(hub.requests)) == (True, 0, before)


def test_a_damaged_model_in_the_cache_is_refused_and_fetched_again(hub, known, run, tmp_path):
    place = pairdex.fetch_model("Small/8").folder
    path = tmp_path / "models/Small-8/text.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    missing = run("encode", tmp_path, tmp_path / "parts", "--model", "Small/8").complaint
    assert "it is altered or of another model" in missing
    assert missing.endswith("to fetch it again: pairdex model fetch Small/8")
    assert not pairdex.fetch_model("Small/8").already
    load_model(place)


def test_the_progress_counts_the_bytes(hub):
    seen = []
    pairdex.fetch_model(REPOSITORY, progress=lambda *step: seen.append(step))
    size = sum(len(data) for name, data in hub.repositories[REPOSITORY].items() if "." in name)
    assert seen[-1][0] == "fetching the model"
    assert seen[-1][1] == seen[-1][2] == size - len(b"a model card")


def test_the_token_goes_to_the_hub_and_not_where_it_redirects(hub, monkeypatch):
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pairdex.fetch_model(REPOSITORY)
    assert all(headers["Authorization"] == "Bearer hf_secret" for _, headers in hub.requests)
    assert len(hub.cdn.requests) == 1
    assert "Authorization" not in hub.cdn.requests[0][1]
    assert "hf_secret" not in json.dumps(hub.cdn.requests)


def test_without_a_token_the_line_says_how_to_give_one(hub, monkeypatch):
    hub.token = "hf_secret"
    with pytest.raises(FetchFailed, match=f"answers 401; set HF_TOKEN .* read {REPOSITORY}"):
        pairdex.fetch_model(REPOSITORY)
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(FetchFailed, match="set HF_TOKEN") as raised:
        pairdex.fetch_model(REPOSITORY)
    assert "wrong" not in str(raised.value)


def test_a_token_goes_to_no_other_host():
    hub = HubAddress("https://hub.example", token="t")
    assert hub.headers_of("https://hub.example/api/models/a/b") == {"Authorization": "Bearer t"}
    for other in (
        "https://hub.example.evil.org/a",
        "http://hub.example/a",
        "https://cdn.example/a",
    ):
        assert hub.headers_of(other) == {}


def test_a_killed_fetch_goes_on_where_it_stopped(hub, tmp_path):
    whole = hub.repositories[REPOSITORY]["open_clip_model.safetensors"]
    hub.pause_after = len(whole) // 2
    child = subprocess.Popen(
        [sys.executable, "-m", "pairdex", "model", "fetch", REPOSITORY],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    part = (
        tmp_path / "models/.downloads/timm--vit_small_clip.openai/open_clip_model.safetensors.part"
    )
    assert hub.arrived.wait(60)
    while not (part.exists() and part.stat().st_size == hub.pause_after):
        assert child.poll() is None
    child.kill()
    child.wait()
    assert not (tmp_path / "models/timm--vit_small_clip.openai").exists()
    hub.pause_after = None
    report = pairdex.fetch_model(REPOSITORY)
    assert report.received == len(whole) - len(whole) // 2
    assert hub.cdn.requests[-1][1]["Range"] == f"bytes={len(whole) // 2}-"


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_config.json"])
def test_wrong_bytes_of_the_right_length_are_refused(hub, tmp_path, name):
    data = hub.repositories[REPOSITORY][name]
    hub.wrong[name] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(FetchFailed, match=r"expected [0-9a-f]{64}, twice|differs from the hub's"):
        pairdex.fetch_model(REPOSITORY)
    assert not (tmp_path / "models/timm--vit_small_clip.openai").exists()
    hub.wrong.clear()
    pairdex.fetch_model(REPOSITORY)
    assert len(hub.asked(f"resolve/{COMMIT}/{name}")) >= 2


def test_a_hub_that_offers_another_file_than_the_published_one_is_refused(hub, known, monkeypatch):
    other = replace(known, sha256="0" * 64)
    monkeypatch.setattr(known_models, "KNOWN", (other,))
    with pytest.raises(FetchFailed, match=r"the published one is 0000.*: it is another file"):
        pairdex.fetch_model("Small/8")
    assert not hub.cdn.requests
    hub.stated["open_clip_model.safetensors"] = "0" * 64  # a hub that lies in its listing as well
    with pytest.raises(FetchFailed, match=r"expected 0000.*, twice: the source is damaged"):
        pairdex.fetch_model("Small/8")


def test_offline_is_one_line_that_says_what_to_do(hub, known, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingFile) as raised:
        pairdex.fetch_model("Small/8")
    said = str(raised.value)
    assert f"the model Small/8 is not in {tmp_path / 'models'}, and HF_HUB_OFFLINE forbids" in said
    assert f"hf download {REPOSITORY} --local-dir DIR" in said
    assert said.endswith("pairdex model fetch Small/8 --from DIR")
    assert hub.requests == []


def test_a_hub_that_cannot_be_reached_is_said_within_seconds(hub, known, monkeypatch):
    hub.stop()
    with pytest.raises(FetchFailed, match=r"cannot be reached .* set HF_ENDPOINT to a mirror"):
        pairdex.fetch_model("Small/8")


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://hub.example", "http://"])
def test_an_endpoint_that_is_no_web_address_is_refused(hub, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(InvalidArgument, match=r"HF_ENDPOINT is .*, expected a web address"):
        pairdex.fetch_model(REPOSITORY)


def test_an_endpoint_that_is_no_hub_is_named(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/mirror/")
    with pytest.raises(FetchFailed, match=r"/mirror/api/models/\S+ is not there any more \(404\)"):
        pairdex.fetch_model(REPOSITORY)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.cdn.url}")
    hub.repositories["api/models"] = {"": b"<html>hello"}
    with pytest.raises(FetchFailed, match="does not answer as a Hugging Face hub"):
        pairdex.fetch_model(REPOSITORY)


def test_a_local_folder_serves_as_well(hub, known, forms, monkeypatch, tmp_path, run):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ended = run("model", "fetch", "Small/8", "--from", forms[0] / "open_clip", "--json")
    assert ended.status == 0, ended.err
    assert (ended.json["model"], ended.json["dim"], ended.json["received"]) == ("Small/8", 16, 0)
    assert ended.err.startswith("pairdex: converting the model Small/8 from ")
    is_library_of(forms[1], tmp_path / "models/Small-8")


def test_a_local_folder_with_other_weights_is_refused(hub, known, forms, tmp_path):
    place = published.copy_of(forms[0] / "open_clip", tmp_path / "copy")
    data = (place / "open_clip_model.safetensors").read_bytes()
    (place / "open_clip_model.safetensors").write_bytes(data[:-1] + b"?")
    with pytest.raises(DamagedFile, match="is not the published one of Small/8"):
        pairdex.fetch_model("Small/8", source=place)
    with pytest.raises(MissingFile, match="holds no weights of a model"):
        pairdex.fetch_model("Small/8", source=tmp_path)


def test_the_cache_of_hugging_faces_programs_is_used(hub, known, forms, monkeypatch, tmp_path):
    cache = tmp_path / "hf-home/hub" / f"models--{REPOSITORY.replace('/', '--')}"
    shutil.copytree(forms[0] / "open_clip", cache / "snapshots" / COMMIT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert pairdex.fetch_model("Small/8").received == 0
    assert hub.requests == []


def test_weights_in_the_cache_of_hugging_faces_programs_are_not_fetched(hub, known, tmp_path):
    data = hub.repositories[REPOSITORY]["open_clip_model.safetensors"]
    cache = tmp_path / "hf-home/hub" / f"models--{REPOSITORY.replace('/', '--')}" / "blobs"
    cache.mkdir(parents=True)
    (cache / known.sha256).write_bytes(data)
    report = pairdex.fetch_model("Small/8")
    assert 0 < report.received < len(data)
    assert hub.cdn.requests == []
    assert (cache / known.sha256).read_bytes() == data


def test_a_repository_without_vocabulary_gets_the_published_one_of_clip(
    hub, forms, monkeypatch, tmp_path
):
    from pairdex.encoders import hub_model

    files = dict(hub.repositories[REPOSITORY])
    tokenizer = json.loads(files.pop("tokenizer.json"))
    hub.repositories[REPOSITORY] = files
    with pytest.raises(FetchFailed, match="openai/clip-vit-base-patch32"):
        pairdex.fetch_model(REPOSITORY)
    pair = {
        "vocab.json": json.dumps(tokenizer["model"]["vocab"]).encode(),
        "merges.txt": "\n".join(" ".join(one) for one in tokenizer["model"]["merges"]).encode(),
    }
    hub.repositories["openai/clip-vit-base-patch32"] = pair
    with pytest.raises(FetchFailed, match="is not the published one of CLIP"):
        pairdex.fetch_model(REPOSITORY)
    monkeypatch.setattr(hub_model, "is_clip_tokenizer", lambda _: True)
    is_library_of(forms[1], pairdex.fetch_model(REPOSITORY).folder)


def test_what_cannot_be_converted_is_named_before_it_is_fetched(hub):
    hub.repositories["owner/pickled"] = {"pytorch_model.bin": b"x", "config.json": b"{}"}
    hub.large.add("pytorch_model.bin")
    with pytest.raises(pairdex.PairdexError, match="has no weights that pairdex can fetch"):
        pairdex.fetch_model("owner/pickled")


def test_a_name_that_is_none_gets_a_suggestion():
    with pytest.raises(InvalidArgument, match=r"did you mean ViT-B/32\?"):
        pairdex.fetch_model("ViT-B32")
    with pytest.raises(InvalidArgument, match="no published model is called"):
        pairdex.fetch_model("../../etc")


def test_commands_fetch_a_known_model_on_first_use(hub, known, run, tmp_path):
    from pairdex.demo.pictures import draw_pictures

    draw_pictures(tmp_path / "pictures", count=12, seed=1)
    first = run("encode", tmp_path / "pictures", tmp_path / "parts", "--model", "Small/8")
    assert first.status == 0, first.err
    assert first.err.count("\n") == 1
    assert first.err.startswith("pairdex: fetching the model Small/8: ")
    run("build", tmp_path / "parts", tmp_path / "c")
    shutil.rmtree(tmp_path / "models")
    found = run("search", tmp_path / "c", "--text", "a red car")
    assert found.status == 0, found.err
    assert found.err.startswith("pairdex: fetching the model Small/8: ")
    again = run("search", tmp_path / "c", "--text", "a red car")
    assert "fetching" not in again.err


def test_photos_take_a_model_by_name(hub, known, run, tmp_path):
    from pairdex.demo.pictures import draw_pictures

    draw_pictures(tmp_path / "pictures", count=6, seed=1)
    ended = run(
        "photos",
        tmp_path / "pictures",
        tmp_path / "c",
        "--model",
        "Small/8",
        "--no-serve",
        "--json",
    )
    assert ended.json["model"] == "Small/8"
    assert ended.err.startswith("pairdex: fetching the model Small/8: ")


def test_a_missing_folder_is_not_taken_for_a_repository(hub, run, tmp_path):
    missing = run("encode", tmp_path, tmp_path / "parts", "--model", "models/my-clip").complaint
    assert "the model models/my-clip does not exist" in missing
    assert hub.requests == []
