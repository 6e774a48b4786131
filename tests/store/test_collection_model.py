"""Collections of released parts know their model by name; it can be recorded where parts do not say it."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.downloads.record import Record
from pairdex.encoders import known_models
from pairdex.encoders.model import load_model
from pairdex.errors import InvalidArgument, Mismatch, MissingFile
from pairdex.store.manifest import read_manifest

DEMO = load_model("demo")
NAMED = {"name": "ViT-B/32", "dim": 512, "checksum": None, "folder": None}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("PAIRDEX_MODELS", str(tmp_path / "models"))


def note_release(folder, release):
    record = Record(folder, release)
    for path in folder.rglob("*.npy"):
        record.add(path.relative_to(folder).as_posix(), "md5", "0" * 32)


def model_of(collection):
    return read_manifest(collection).model


def test_parts_of_a_fetched_release_know_their_model(make_parts, build, tmp_path, run):
    source = make_parts(9, 9, dim=512, layout="laion400m")
    note_release(source, "laion400m")
    report = build(source, tmp_path / "c")
    assert model_of(tmp_path / "c") == NAMED
    assert not [note for note in report.notes if "model" in note]
    assert "ViT-B/32\n" in run("info", tmp_path / "c").out
    assert run("info", tmp_path / "c", "--json").json["model"] == NAMED


def test_fetch_notes_the_release(make_parts, build, tmp_path, run):
    source = make_parts(9, dim=512, layout="laion400m")
    ended = run(
        "fetch", "laion400m", tmp_path / "fetched", "--parts", "0", "--mirror", source.as_uri()
    )
    assert ended.status == 0, ended.err
    shutil.rmtree(source)
    build(tmp_path / "fetched", tmp_path / "c")
    assert model_of(tmp_path / "c") == NAMED


def test_a_release_of_another_dimension_says_nothing(make_parts, build, tmp_path):
    source = make_parts(9, dim=8)
    note_release(source, "laion400m")
    build(source, tmp_path / "c")
    assert model_of(tmp_path / "c") is None


def test_parts_of_two_releases_say_nothing(make_parts, build, tmp_path):
    source = make_parts(9, 9, dim=512)
    note_release(source, "laion400m")
    record = Record(source, "laion2b-en")
    record.add("img_emb_1.npy", "md5", "0" * 32)
    build(source, tmp_path / "c")
    assert model_of(tmp_path / "c") is None


@pytest.mark.parametrize(
    ("tower", "model", "dim"), [("b32", "ViT-B/32", 512), ("l14", "ViT-L/14", 768)]
)
def test_datacomps_parts_know_the_model_of_their_tower(
    tmp_path, build, write_part, tower, model, dim
):
    rows = np.random.default_rng(0).standard_normal((6, dim)).astype(np.float16)
    folder = tmp_path / "parts"
    folder.mkdir()
    names = [f"{t}_{kind}" for t in ("b32", "l14") for kind in ("img", "txt")]
    np.savez(folder / f"{0:032x}.npz", **dict.fromkeys(names, rows))
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"url": ["u"] * 6}), folder / f"{0:032x}.parquet")
    build(folder, tmp_path / "c", tower=tower)
    assert (model_of(tmp_path / "c")["name"], model_of(tmp_path / "c")["dim"]) == (model, dim)


def test_a_bundle_of_sisap_knows_its_model(tmp_path, build):
    rows = np.random.default_rng(0).standard_normal((6, 768)).astype(np.float16)
    with h5py.File(tmp_path / "laion2B-en-clip768v2-n=100K.h5", "w") as file:
        file["emb"] = rows
    build(tmp_path / "laion2B-en-clip768v2-n=100K.h5", tmp_path / "c")
    assert model_of(tmp_path / "c")["name"] == "ViT-L/14"


def test_parts_found_by_hand_are_said_to_look_like_a_model(make_parts, build, tmp_path):
    report = build(make_parts(9, dim=512), tmp_path / "c")
    assert model_of(tmp_path / "c") is None
    (note,) = [note for note in report.notes if "model" in note]
    assert "512 dimensions and the columns of LAION-400M look like ViT-B/32" in note
    assert note.endswith(f"pairdex model set {tmp_path / 'c'} ViT-B/32")
    assert not [
        n for n in build(make_parts(9, folder="other"), tmp_path / "d").notes if "model" in n
    ]


def test_a_later_fetch_of_the_release_records_its_model(make_parts, build, tmp_path):
    source = make_parts(9, dim=512)
    build(source, tmp_path / "c")
    note_release(source, "laion400m")
    build(source, tmp_path / "c")
    assert model_of(tmp_path / "c") == NAMED


def test_build_takes_a_known_name_without_fetching_it(make_parts, tmp_path, run):
    source = make_parts(9, dim=512)
    ended = run("build", source, tmp_path / "c", "--model", "vit-b-32/openai", "--json")
    assert ended.status == 0, ended.err
    assert model_of(tmp_path / "c") == NAMED


def test_a_text_is_refused_in_one_line_if_the_model_cannot_be_fetched(
    make_parts, build, tmp_path, run
):
    source = make_parts(9, dim=512)
    note_release(source, "laion400m")
    build(source, tmp_path / "c")
    complaint = run("search", tmp_path / "c", "--text", "a cat").complaint
    assert "the model ViT-B/32 is not in" in complaint
    assert "HF_HUB_OFFLINE forbids" in complaint
    assert run("search", tmp_path / "c", "--like", "0").status == 0


def test_the_service_starts_without_a_model_that_cannot_be_fetched(
    make_parts, build, tmp_path, run, monkeypatch
):
    source = make_parts(9, dim=512)
    note_release(source, "laion400m")
    build(source, tmp_path / "c")
    served = []
    monkeypatch.setattr("pairdex.service.server.serve", lambda all_, **_: served.extend(all_))
    ended = run("serve", tmp_path / "c")
    assert ended.status == 0, ended.err
    assert ended.err.startswith(
        "note: texts and pictures cannot be searched in c: the model ViT-B/32"
    )
    assert ended.err.count("\n") == 1
    assert [len(one) for one in served] == [9]


@pytest.fixture
def as_known(monkeypatch, tmp_path):
    """The demo model under the name Known/1 in the catalogue, and in the cache."""
    known = known_models.KnownModel("Known/1", "owner/known", DEMO.dim, ("known/other",))
    monkeypatch.setattr(known_models, "KNOWN", (*known_models.KNOWN, known))
    folder = tmp_path / "models/Known-1"

    def cache(name="Known/1"):
        shutil.copytree(DEMO.folder, folder)
        content = json.loads((folder / "model.json").read_text()) | {"name": name}
        (folder / "model.json").write_text(json.dumps(content))
        return folder

    return cache


@pytest.fixture
def nameless(make_parts, build, tmp_path):
    """A collection of the demo model's dimension that names no model."""
    build(make_parts(20, dim=DEMO.dim), tmp_path / "c")
    return tmp_path / "c"


def test_a_model_that_is_set_is_recorded_and_used(nameless, as_known, run):
    assert "does not record which model" in run("search", nameless, "--text", "a cat").complaint
    ended = run("model", "set", nameless, "known/other", "--json")
    assert ended.json == {
        "collection": str(nameless),
        "model": "Known/1",
        "dim": DEMO.dim,
        "checksum": None,
        "before": None,
    }
    as_known()
    assert len(pairdex.open(nameless).search("a cat", k=3)) == 3
    assert pairdex.verify(nameless).damaged == []


def test_a_model_of_another_name_is_refused_for_a_collection_that_knows_the_name(
    nameless, as_known
):
    pairdex.set_model(nameless, "Known/1")
    with pytest.raises(Mismatch, match="was made with the model Known/1, but demo is demo"):
        pairdex.open(nameless, model="demo").search("a cat")


def test_setting_a_model_in_the_cache_records_its_checksum(nameless, as_known):
    pairdex.set_model(nameless, "Known/1")
    as_known()
    report = pairdex.set_model(nameless, "Known/1")
    assert report.checksum == DEMO.checksum
    assert report.before["checksum"] is None
    assert model_of(nameless)["checksum"] == DEMO.checksum


def test_a_record_of_another_model_is_replaced_only_by_force(nameless, as_known, run):
    pairdex.set_model(nameless, "demo")
    before = (nameless / "collection.json").read_bytes()
    with pytest.raises(InvalidArgument, match=r"records the model demo .*replace it with --force"):
        pairdex.set_model(nameless, "Known/1")
    assert (nameless / "collection.json").read_bytes() == before
    assert run("model", "set", nameless, "Known/1", "--force").status == 0
    assert model_of(nameless)["name"] == "Known/1"


def test_a_model_of_another_dimension_is_refused(nameless):
    with pytest.raises(Mismatch, match="the model ViT-B/32 makes 512: another model made them"):
        pairdex.set_model(nameless, "ViT-B/32")


def test_a_folder_that_is_no_collection_has_no_model_to_set(tmp_path):
    with pytest.raises(MissingFile, match="is not a collection"):
        pairdex.set_model(tmp_path, "demo")


def test_parts_of_a_known_checksum_go_to_a_collection_that_knows_the_name(
    nameless, as_known, make_parts, build
):
    pairdex.set_model(nameless, "Known/1")
    record = replace(load_model(as_known())).record()
    more = make_parts(20, 10, dim=DEMO.dim)
    build(more, nameless, model=record)
    assert model_of(nameless) == record
    with pytest.raises(Mismatch, match="has the model Known/1"):
        build(more, nameless, model=record | {"name": "Other/1", "checksum": None})


def test_a_collection_finds_its_model_in_the_cache_of_another_machine(nameless, as_known):
    folder = as_known()
    pairdex.set_model(nameless, "Known/1")
    assert model_of(nameless)["folder"] == str(folder)
    shutil.move(folder, folder.parent / "elsewhere")
    with pytest.raises(MissingFile, match="the model Known/1 is not in"):
        pairdex.open(nameless).search("a cat")
    shutil.move(folder.parent / "elsewhere", folder)
    assert len(pairdex.open(nameless).search("a cat", k=2)) == 2
