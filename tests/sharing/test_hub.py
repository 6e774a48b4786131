"""Collections pushed to and pulled from a Hugging Face hub on the loopback."""

import subprocess
import sys

import pytest

import pairdex
from dataset_hub import DatasetHub
from pairdex.derived.verify import verify
from pairdex.downloads.hub_source import HubPlace
from pairdex.errors import (
    CollectionBusy,
    FetchFailed,
    InvalidArgument,
    MissingExtra,
    WriteFailed,
)
from pairdex.sharing.hub_target import HubTarget
from pairdex.sharing.listing import LISTING
from pairdex.sharing.pull import pull_files

# What huggingface_hub itself does when it uploads.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

URL = "hf://datasets/anna/scenes/v1"


@pytest.fixture
def hub(monkeypatch):
    pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")
    world = DatasetHub()
    monkeypatch.setenv("HF_ENDPOINT", world.url)
    monkeypatch.setenv("HF_TOKEN", world.token)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield world
    world.stop()


def test_a_collection_goes_through_a_hub_in_one_commit(collection, hub, tmp_path, tree, retry):
    report = pairdex.push(collection, URL)
    assert report.sent == report.files == 10
    assert hub.private == {"anna/scenes": True}
    assert len(hub.commits["anna/scenes"]) == 2  # the repository's own, and this one
    assert f"v1/{LISTING}" in hub.files("anna/scenes")
    pulled = pull_files(URL, tmp_path / "copy", retry=retry)
    assert pulled.fetched == 10
    assert tree(tmp_path / "copy") == tree(collection)


def test_only_what_changed_goes_to_the_hub(collection, hub, tmp_path, retry):
    pairdex.push(collection, URL)
    pull_files(URL, tmp_path / "copy", retry=retry)
    pairdex.remove(collection, where="width < 103", reason="takedown 1")
    sent = len(hub.uploads)
    assert pairdex.push(collection, URL).sent == 1
    assert len(hub.uploads) == sent + 1
    assert pull_files(URL, tmp_path / "copy", retry=retry).fetched == 1
    assert len(pairdex.open(tmp_path / "copy")) == 60 - 9
    assert verify(tmp_path / "copy").damaged == []


def test_a_killed_push_shows_nothing_and_no_file_goes_up_twice(collection, hub, tmp_path, retry):
    code = f"""
import os, signal, pairdex
from pairdex.sharing.hub_target import HubTarget
HubTarget.publish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
pairdex.push({str(collection)!r}, {URL!r})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with pytest.raises(FetchFailed, match="holds no published collection"):
        pull_files(URL, tmp_path / "copy", retry=retry)
    assert len(hub.uploads) == 9
    pairdex.push(collection, URL)
    assert len(hub.uploads) == 9
    assert pull_files(URL, tmp_path / "copy", retry=retry).files == 10


def test_a_commit_in_between_is_noticed(collection, hub, monkeypatch):
    find = HubTarget._find
    monkeypatch.setattr(HubTarget, "_find", lambda self: find(self) and "f" * 40)
    with pytest.raises(CollectionBusy, match=f"another push to {URL} ended meanwhile"):
        pairdex.push(collection, URL)
    assert len(hub.commits["anna/scenes"]) == 1


def test_an_upload_that_fails_is_one_line(collection, hub, monkeypatch):
    monkeypatch.setattr(hub, "upload_status", 403)
    with pytest.raises(FetchFailed, match=f"{URL} did not take a file .*; push again") as caught:
        pairdex.push(collection, URL)
    assert "signature" not in str(caught.value)
    assert len(hub.commits["anna/scenes"]) == 1


def test_a_wrong_token_is_one_line_without_it(collection, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "wrong-token")
    with pytest.raises(WriteFailed, match="set HF_TOKEN to a token that may write") as caught:
        pairdex.push(collection, URL)
    assert "wrong-token" not in str(caught.value)


def test_a_hub_that_is_down_is_one_line(collection, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchFailed, match=f"{URL} cannot be reached"):
        pairdex.push(collection, URL)


def test_all_files_of_a_pull_are_of_one_commit(collection, hub, tmp_path, retry):
    pairdex.push(collection, URL)
    hub.requests.clear()
    pull_files(URL, tmp_path / "copy", retry=retry)
    (commit,) = {path.split("/")[5] for _, path in hub.requests if "/resolve/" in path}
    assert [path for _, path in hub.requests if path.endswith("/revision/main")] == [
        "/api/datasets/anna/scenes/revision/main"
    ]
    pairdex.remove(collection, where="width < 103", reason="takedown 1")
    pairdex.push(collection, URL)
    older = f"hf://datasets/anna/scenes@{commit}/v1"
    pull_files(older, tmp_path / "older", retry=retry)
    assert len(pairdex.open(tmp_path / "older")) == 60


@pytest.mark.parametrize(
    ("url", "kind", "name", "revision", "path"),
    [
        ("hf://datasets/a/b", "dataset", "a/b", "main", ""),
        ("hf://datasets/a/b@v1/c/d.npy", "dataset", "a/b", "v1", "c/d.npy"),
        ("hf://a/b/c", "model", "a/b", "main", "c"),
        ("hf://spaces/a/b.c/d/", "space", "a/b.c", "main", "d"),
    ],
)
def test_hub_addresses_are_read_as_the_hub_writes_them(url, kind, name, revision, path):
    assert HubPlace.at(url) == HubPlace(kind, name, revision, path)


@pytest.mark.parametrize("url", ["hf://", "hf://a", "hf://datasets/a", "hf://datasets/../b"])
def test_addresses_without_a_repository_are_refused(tmp_path, url, hub):
    with pytest.raises(InvalidArgument, match="names no repository"):
        pairdex.pull(url, tmp_path / "copy")


def test_an_offline_hub_is_not_asked(collection, tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FetchFailed, match="HF_HUB_OFFLINE"):
        pairdex.pull(URL, tmp_path / "copy")
    with pytest.raises(InvalidArgument, match="HF_HUB_OFFLINE"):
        pairdex.push(collection, URL)
    assert hub.requests == []


def test_without_the_extra_the_line_that_installs_it_is_said(collection, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pairdex\[remote\]'"):
        pairdex.push(collection, URL)
