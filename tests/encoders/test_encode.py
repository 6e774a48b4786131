"""Folders of pictures become parts, all of them or none, and a second call does only what is new."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import pairdex.encoders.encode as encode_module
from full_disk import small_files
from pairdex.demo.pictures import draw_pictures
from pairdex.demo.scenes import draw_scene, random_scene
from pairdex.encoders.encode import encode
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.model import load_model
from pairdex.encoders.part import encode_part
from pairdex.errors import (
    CollectionBusy,
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    WriteFailed,
)
from pairdex.files import lock
from pairdex.parts.layout import find_parts
from places import DATA

EMOJI = DATA / "emoji"
COUNT = 70


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Seventy drawn pictures with captions.tsv; not to be changed."""
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    draw_pictures(folder, count=COUNT, seed=5)
    return folder


@pytest.fixture
def pictures(drawn, tmp_path):
    """A copy of them, to be changed."""
    return Path(shutil.copytree(drawn, tmp_path / "pictures"))


@pytest.fixture
def parts(tmp_path):
    return tmp_path / "parts"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def metadata(parts, number=0):
    return pq.read_table(parts / "metadata" / f"metadata_{number}.parquet")


def test_pictures_with_captions_become_parts_of_clip_retrieval_layout(drawn, parts):
    report = encode(drawn, parts, model="demo")
    assert (report.rows, report.failed, report.without_caption) == (COUNT, 0, 0)
    assert (report.model, report.dim) == ("demo", 64)
    assert sorted(contents(parts)) == [
        "img_emb/img_emb_0.npy",
        "metadata/metadata_0.parquet",
        "pairdex.json",
        "text_emb/text_emb_0.npy",
    ]
    [part] = find_parts(parts)
    assert (part.rows, part.dim) == (COUNT, 64)


def test_the_vectors_are_those_of_the_encoder_as_float16(drawn, parts):
    encode(drawn, parts, model="demo")
    table, encoder = metadata(parts), Encoder(load_model("demo"))
    opened = [Image.open(drawn / name) for name in table["image_path"].to_pylist()]
    images = np.load(parts / "img_emb/img_emb_0.npy")
    texts = np.load(parts / "text_emb/text_emb_0.npy")
    assert images.dtype == texts.dtype == np.float16
    assert np.allclose(images, encoder.encode_images(opened), atol=1e-3)
    assert np.allclose(texts, encoder.encode_texts(table["caption"].to_pylist()), atol=1e-3)
    cosines = (images.astype(np.float64) * texts).sum(axis=1)
    assert np.allclose(table["similarity"].to_numpy(), cosines, atol=2e-3)


def test_the_table_holds_path_caption_size_similarity_and_further_columns(drawn, parts):
    encode(drawn, parts, model="demo")
    table = metadata(parts)
    assert table.column_names == [
        "image_path", "caption", "width", "height", "similarity",
        "taken", "camera", "latitude", "longitude", "folder",
        "things", "colours", "place", "layout",
    ]  # fmt: skip
    assert table["image_path"][3].as_py() == "00003.jpg"
    assert (table["width"][3].as_py(), table["height"][3].as_py()) == (192, 192)
    line = (drawn / "captions.tsv").read_text().splitlines()[4].split("\t")
    assert table["caption"][3].as_py() == line[1]
    assert table["things"][3].as_py() == line[2]


def test_the_note_names_the_model_and_the_pictures(drawn, parts):
    encode(drawn, parts, model="demo")
    note = json.loads((parts / "pairdex.json").read_text())
    assert note == {
        "format": 1,
        "model": dict(load_model("demo").record()),
        "pictures": str(drawn.resolve()),
        "orientation": "upright",
    }


def test_without_captions_there_are_no_text_vectors_and_no_similarity(pictures, parts):
    (pictures / "captions.tsv").unlink()
    report = encode(pictures, parts, model="demo")
    assert report.without_caption == COUNT
    assert not (parts / "text_emb").exists()
    assert metadata(parts).column_names[:4] == ["image_path", "caption", "width", "height"]
    assert "similarity" not in metadata(parts).column_names


def test_an_empty_caption_is_encoded_as_one_and_counted(pictures, parts):
    (pictures / "captions.tsv").unlink()
    (pictures / "00001.txt").write_text("a cat")
    report = encode(pictures, parts, model="demo")
    assert report.without_caption == COUNT - 1
    texts = np.load(parts / "text_emb/text_emb_0.npy")
    assert np.isfinite(texts).all()
    assert np.array_equal(texts[0], texts[2])
    similarity = metadata(parts)["similarity"].to_pylist()
    assert similarity[0] is None
    assert similarity[1] is not None


def test_pictures_that_cannot_be_read_are_left_out_and_listed(pictures, parts):
    whole = (pictures / "00002.jpg").read_bytes()
    (pictures / "00002.jpg").write_bytes(whole[: len(whole) // 2])
    (pictures / "00004.jpg").write_bytes(b"no picture")
    (pictures / "00006.jpg").unlink()
    report = encode(pictures, parts, model="demo")
    assert (report.rows, report.failed) == (COUNT - 3, 3)
    lines = (parts / "failed.tsv").read_text().splitlines()
    assert lines[0] == "file\treason"
    assert [line.split("\t")[0] for line in lines[1:]] == ["00002.jpg", "00004.jpg", "00006.jpg"]
    assert "not a picture of a known format" in lines[2]
    kept = metadata(parts)["image_path"].to_pylist()
    assert kept[:5] == ["00000.jpg", "00001.jpg", "00003.jpg", "00005.jpg", "00007.jpg"]
    assert np.load(parts / "img_emb/img_emb_0.npy").shape == (COUNT - 3, 64)


def test_a_name_that_is_no_utf8_is_listed_and_the_rest_encoded(pictures, parts):
    name = os.fsencode(pictures) + b"/\xff.jpg"
    shutil.copy(pictures / "00000.jpg", os.fsdecode(name))
    report = encode(pictures, parts, model="demo")
    assert (report.rows, report.failed) == (COUNT, 1)
    assert b"not a UTF-8 name" in (parts / "failed.tsv").read_bytes()


def test_no_picture_that_can_be_read_is_an_error_that_leaves_nothing(tmp_path, parts):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.jpg").write_bytes(b"no picture")
    with pytest.raises(DamagedFile, match=r"of 1 picture .*, none can be read; the first: "):
        encode(tmp_path / "pictures", parts, model="demo")
    assert not parts.exists()


def test_no_pictures_at_all_is_an_error_that_leaves_nothing(tmp_path, parts):
    with pytest.raises(MissingFile, match="holds no pictures"):
        encode(tmp_path, parts, model="demo")
    assert not parts.exists()


def test_parts_hold_so_many_pictures_in_natural_order(drawn, parts):
    calls = []
    report = encode(
        drawn, parts, model="demo", part_rows=30, progress=lambda *call: calls.append(call)
    )
    assert report.rows == COUNT
    assert [part.rows for part in find_parts(parts)] == [30, 30, 10]
    assert metadata(parts, 2)["image_path"][0].as_py() == "00060.jpg"
    assert calls[-1] == ("encoding", COUNT, COUNT)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_the_size_of_parts_changes_no_vector(drawn, tmp_path):
    encode(drawn, tmp_path / "one", model="demo")
    encode(drawn, tmp_path / "many", model="demo", part_rows=30)
    many = [np.load(tmp_path / f"many/img_emb/img_emb_{i}.npy") for i in range(3)]
    one = np.load(tmp_path / "one/img_emb/img_emb_0.npy")
    assert np.allclose(np.concatenate(many), one, atol=1e-3)


def test_the_same_call_again_encodes_nothing_and_gives_the_same_report(drawn, parts, monkeypatch):
    first = encode(drawn, parts, model="demo", part_rows=30)
    before = contents(parts)
    monkeypatch.setattr(encode_module, "encode_part", lambda *_, **__: pytest.fail("encoded again"))
    second = encode(drawn, parts, model="demo", part_rows=30)
    assert contents(parts) == before
    assert (second.rows, second.failed) == (first.rows, first.failed)


def test_only_parts_whose_pictures_or_captions_changed_are_encoded_again(
    pictures, parts, monkeypatch
):
    encode(pictures, parts, model="demo", part_rows=30)
    before = contents(parts)
    rng = Random(1)
    draw_scene(random_scene(rng), rng).save(pictures / "00035.jpg")
    made = []

    def spy(source, samples, files, **options):
        made.append(files.number)
        return encode_part(source, samples, files, **options)

    monkeypatch.setattr(encode_module, "encode_part", spy)
    encode(pictures, parts, model="demo", part_rows=30)
    assert made == [1]
    changed = {name for name, data in contents(parts).items() if before[name] != data}
    assert changed == {"img_emb/img_emb_1.npy", "metadata/metadata_1.parquet"}


def test_parts_of_pictures_that_are_gone_are_removed(pictures, parts):
    encode(pictures, parts, model="demo", part_rows=30)
    (pictures / "captions.tsv").unlink()
    for i in range(20, COUNT):
        (pictures / f"{i:05d}.jpg").unlink()
    assert encode(pictures, parts, model="demo", part_rows=30).rows == 20
    assert sorted(contents(parts)) == [
        "img_emb/img_emb_0.npy",
        "metadata/metadata_0.parquet",
        "pairdex.json",
    ]


def test_a_target_with_other_things_is_refused_and_left_alone(drawn, parts):
    parts.mkdir()
    (parts / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidArgument, match=r"not empty and was not made by encoding .*thesis"):
        encode(drawn, parts, model="demo")
    assert list(contents(parts)) == ["thesis.txt"]


def test_a_target_with_parts_of_other_pictures_is_refused(drawn, pictures, parts):
    encode(drawn, parts, model="demo")
    before = contents(parts)
    with pytest.raises(Mismatch, match=r"holds parts of the pictures in .*; name a new folder"):
        encode(pictures, parts, model="demo")
    assert contents(parts) == before


def test_a_target_with_parts_of_another_model_is_refused_naming_both(drawn, parts, tmp_path):
    other = Path(shutil.copytree(load_model("demo").folder, tmp_path / "other"))
    content = json.loads((other / "model.json").read_text())
    content["name"], content["image"]["mean"] = "other", [0.5, 0.5, 0.5]
    (other / "model.json").write_text(json.dumps(content))
    encode(drawn, parts, model="demo")
    with pytest.raises(Mismatch, match=r"parts of the model demo .*asked for is other"):
        encode(drawn, parts, model=other)


def test_a_second_writer_fails_at_once(drawn, parts):
    parts.mkdir()
    with lock.writing(parts), pytest.raises(CollectionBusy):
        encode(drawn, parts, model="demo")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_target_is_refused(drawn, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WriteFailed, match="cannot write"):
        encode(drawn, tmp_path / "parts", model="demo")


@pytest.mark.parametrize("largest", [2_000, 4_000], ids=["vectors", "table"])
def test_a_full_disk_ends_in_one_line_and_shows_no_parts(drawn, parts, largest):
    with (
        small_files(largest),
        pytest.raises(WriteFailed, match=r"cannot write .*; free space and run the same"),
    ):
        encode(drawn, parts, model="demo", part_rows=20)
    assert not (parts / "img_emb").exists()
    assert encode(drawn, parts, model="demo", part_rows=20).rows == COUNT


def test_no_rows_a_part_is_refused(drawn, parts):
    with pytest.raises(InvalidArgument, match="part_rows is 0, expected at least 1"):
        encode(drawn, parts, model="demo", part_rows=0)


class Interrupted(BaseException):
    """What a Ctrl-C is to the library."""


def test_an_interrupted_call_shows_no_parts_and_the_next_goes_on(drawn, parts, monkeypatch):
    def interrupt(step, done, total):
        if done > 35:
            raise Interrupted

    with pytest.raises(Interrupted):
        encode(drawn, parts, model="demo", part_rows=30, progress=interrupt)
    with pytest.raises(MissingFile, match="holds no parts"):
        find_parts(parts)
    made = []

    def spy(source, samples, files, **options):
        made.append(files.number)
        return encode_part(source, samples, files, **options)

    monkeypatch.setattr(encode_module, "encode_part", spy)
    encode(drawn, parts, model="demo", part_rows=30)
    assert made == [1, 2]
    assert [part.rows for part in find_parts(parts)] == [30, 30, 10]


def test_what_a_call_that_was_given_up_had_made_is_not_taken_for_the_part(pictures, parts):
    encode(pictures, parts, model="demo", part_rows=30)
    before, picture = contents(parts), pictures / "00003.jpg"
    shutil.copy2(picture, pictures.with_name("kept.jpg"))
    shutil.copy(pictures / "00004.jpg", picture)

    def interrupt(step, done, total):
        if done > 35:
            raise Interrupted

    (pictures / "00050.jpg").touch()
    with pytest.raises(Interrupted):
        encode(pictures, parts, model="demo", part_rows=30, progress=interrupt)
    assert (parts / ".encoding/metadata/metadata_0.parquet").exists()
    shutil.copy2(pictures.with_name("kept.jpg"), picture)
    encode(pictures, parts, model="demo", part_rows=30)
    after = contents(parts)
    assert after["img_emb/img_emb_0.npy"] == before["img_emb/img_emb_0.npy"]
    assert after["metadata/metadata_0.parquet"] == before["metadata/metadata_0.parquet"]


def test_killed_at_any_instant_the_same_call_ends_with_the_same_bytes(drawn, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    encode(drawn, whole, model="demo", part_rows=5)
    program = (
        "import sys; from pairdex.encoders.encode import encode; print('go', flush=True); "
        f"encode({str(drawn)!r}, {str(broken)!r}, model='demo', part_rows=5)"
    )
    rng = Random(0)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.25))
            process.send_signal(signal.SIGKILL)
        if (broken / "pairdex.json").exists():
            break
    encode(drawn, broken, model="demo", part_rows=5)
    assert contents(broken) == contents(whole)


@pytest.mark.parametrize("moment", range(1, 12))
def test_stopped_while_parts_are_moved_the_same_call_ends_with_the_same_bytes(
    pictures, tmp_path, monkeypatch, moment
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    encode(pictures, broken, model="demo", part_rows=30)
    rng = Random(2)
    for i in (5, 40):
        draw_scene(random_scene(rng), rng).save(pictures / f"{i:05d}.jpg")
    encode(pictures, whole, model="demo", part_rows=30)
    calls = []
    replace, unlink = Path.replace, Path.unlink

    def counted(inner):
        def call(self, *args, **options):
            if ".encoding" in str(self) or self.parent.name == "metadata":
                calls.append(self)
                if len(calls) == moment:
                    raise Interrupted
            return inner(self, *args, **options)

        return call

    monkeypatch.setattr(Path, "replace", counted(replace))
    monkeypatch.setattr(Path, "unlink", counted(unlink))
    with contextlib.suppress(Interrupted):
        encode(pictures, broken, model="demo", part_rows=30)
    monkeypatch.undo()
    encode(pictures, broken, model="demo", part_rows=30)
    assert contents(broken) == contents(whole)


@pytest.mark.skipif(not EMOJI.is_dir(), reason="the emoji pictures are not on this machine")
def test_real_pictures_with_a_real_table_are_encoded(tmp_path, parts):
    folder = tmp_path / "emoji"
    folder.mkdir()
    lines = (EMOJI / "captions.tsv").read_text("utf-8").splitlines()[:120]
    (folder / "captions.tsv").write_text("\n".join(lines), "utf-8")
    for line in lines[1:]:
        shutil.copy(EMOJI / line.split("\t")[0], folder)
    report = encode(folder, parts, model="demo")
    assert (report.rows, report.failed) == (119, 0)
    nameless = sum(not line.split("\t")[1].strip() for line in lines[1:])
    assert report.without_caption == nameless > 0
    table = metadata(parts)
    assert table.column_names[-1] == "keywords"
    assert table["similarity"].null_count == nameless
