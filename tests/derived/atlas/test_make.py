"""An atlas keeps similar rows close, is reproducible from its seed, and is never used with other vectors."""

import builtins
import shutil
import sys

import numpy as np
import pyarrow as pa
import pytest

import pairdex
from conftest import save_part, unit_rows
from pairdex.derived.atlas.files import folder_of, has_atlas, open_atlas, read_record
from pairdex.derived.atlas.kind import ATLAS
from pairdex.errors import (
    CollectionBusy,
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingExtra,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.files import lock
from pairdex.store.store import Store

pytest.importorskip("umap.umap_")

GROUPS, EACH, DIM = 3, 80, 16
THINGS = ("cat", "boat", "church")


def grouped_rows(seed):
    """Three tight groups of directions, shape (240, 16), float16, ordered by group."""
    middles = np.eye(GROUPS, DIM).repeat(EACH, axis=0)
    return (middles + 0.1 * unit_rows(GROUPS * EACH, DIM, seed)).astype(np.float16)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """A collection of three groups, whose captions name their group, with an atlas."""
    root = tmp_path_factory.mktemp("atlas")
    captions = [f"a photo of the {THINGS[row // EACH]}" for row in range(GROUPS * EACH)]
    save_part(root / "parts", 0, grouped_rows(1), grouped_rows(2), {"caption": captions})
    pairdex.build(root / "parts", root / "collection")
    pairdex.atlas(root / "collection", sample=180, seed=4)
    return root / "collection"


@pytest.fixture
def collection(grouped, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(grouped, tmp_path / "collection")


def files_in(collection):
    return {path.name: path.read_bytes() for path in folder_of(collection).iterdir()}


def test_rows_of_a_group_are_close_together_and_far_from_others(grouped):
    atlas = open_atlas(Store(grouped))
    group = atlas.ids // EACH
    middles = np.stack([atlas.positions[group == one].mean(axis=0) for one in range(GROUPS)])
    to_middles = np.linalg.norm(atlas.positions[:, None] - middles, axis=2)
    assert (to_middles.argmin(axis=1) == group).all()


def test_positions_fill_the_unit_square(grouped):
    positions = open_atlas(Store(grouped)).positions
    assert positions.min() >= 0
    assert positions.max() <= 1
    assert np.ptp(positions, axis=0).max() == pytest.approx(1, abs=1e-6)


def test_every_other_row_is_placed_at_its_nearest_point(grouped):
    atlas = open_atlas(Store(grouped))
    vectors = pairdex.open(grouped).vectors("image")[:].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = (vectors @ vectors[atlas.ids].T).argmax(axis=1)
    assert (atlas.places == expected).all()
    assert (atlas.places[atlas.ids] == np.arange(180)).all()
    assert atlas.weights(None).sum() == GROUPS * EACH


def test_regions_are_named_by_their_distinctive_words(grouped):
    regions = read_record(grouped).regions
    assert {region.level for region in regions} == {0, 1}
    named = {word for region in regions for word in region.words}
    assert named == set(THINGS)
    assert sum(region.points for region in regions if region.level == 0) == 180


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(collection):
    before = files_in(collection)
    pairdex.atlas(collection, sample=180, seed=4)
    assert files_in(collection) == before
    pairdex.atlas(collection, sample=180, seed=5)
    after = files_in(collection)
    assert len(after) == len(before)  # no file of the earlier atlas is left
    assert after["atlas.json"] != before["atlas.json"]


def test_removed_rows_are_neither_drawn_nor_counted(collection):
    pairdex.remove(collection, ids=np.arange(EACH), reason="takedown")
    store = Store(collection)
    assert open_atlas(store).weights(store.allowed()).sum() == (GROUPS - 1) * EACH
    pairdex.atlas(collection)
    assert open_atlas(store).ids.min() == EACH
    assert read_record(collection).points == (GROUPS - 1) * EACH


def test_an_atlas_can_use_text_vectors(collection):
    assert pairdex.atlas(collection, on="text", sample=60).on == "text"
    assert open_atlas(Store(collection)).record.on == "text"


def test_collections_without_captions_have_regions_without_names(tmp_path):
    save_part(tmp_path / "parts", 0, unit_rows(70, 8, 1), None, {"url": ["x"] * 70})
    pairdex.build(tmp_path / "parts", tmp_path / "collection")
    report = pairdex.atlas(tmp_path / "collection")
    assert report.points == 70
    assert {tuple(region.words) for region in read_record(tmp_path / "collection").regions} == {()}


def test_equal_rows_have_an_atlas_too(tmp_path):
    rows = np.ones((40, 8), np.float16)
    save_part(tmp_path / "parts", 0, rows, None, {"caption": pa.nulls(40, pa.string())})
    pairdex.build(tmp_path / "parts", tmp_path / "collection")
    pairdex.atlas(tmp_path / "collection")
    assert np.isfinite(open_atlas(Store(tmp_path / "collection")).positions).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 9}, r"the sample is 9 rows, expected 10 to 240"),
        ({"sample": 241}, r"the sample is 241 rows, expected 10 to 240"),
        ({"seed": -1}, r"the seed is -1, expected 0 to 4,294,967,295"),
        ({"on": "sound"}, r"has no 'sound' vectors"),
    ],
)
def test_wrong_options_are_refused(grouped, options, message):
    with pytest.raises(InvalidArgument, match=message):
        pairdex.atlas(grouped, **options)


def test_too_small_a_collection_is_refused_and_left_as_it_was(tmp_path):
    save_part(tmp_path / "parts", 0, unit_rows(9, 8, 1), None, {"url": ["x"] * 9})
    pairdex.build(tmp_path / "parts", tmp_path / "collection")
    with pytest.raises(InvalidArgument, match="has 9 rows, an atlas needs at least 10"):
        pairdex.atlas(tmp_path / "collection")
    assert not folder_of(tmp_path / "collection").exists()


def test_an_atlas_of_fewer_parts_is_outdated(collection):
    rows = grouped_rows(7)
    save_part(collection.parent / "more", 1, rows, rows, {"caption": ["more"] * len(rows)})
    pairdex.build(collection.parent / "more", collection)
    with pytest.raises(
        Mismatch, match=r"the atlas of .* was made from 240 rows.*run pairdex atlas"
    ):
        open_atlas(Store(collection))
    pairdex.atlas(collection, sample=50)
    assert open_atlas(Store(collection)).record.rows == 480


def test_missing_damaged_and_newer_atlases_are_different_errors(collection):
    note = folder_of(collection) / "atlas.json"
    written = note.read_text()
    note.write_text(written.replace('"version": 1', '"version": 2'))
    with pytest.raises(UnsupportedFormat, match="has format version 2"):
        open_atlas(Store(collection))
    note.write_text(written.replace('"seed": 4', '"seed": 5'))
    with pytest.raises(DamagedFile, match="its checksum does not match"):
        open_atlas(Store(collection))
    note.write_text(written)
    places = next(folder_of(collection).glob("places-*.npy"))
    whole = places.read_bytes()
    places.write_bytes(whole[:-4])
    with pytest.raises(DamagedFile, match=r"has [\d,]+ bytes, expected"):
        open_atlas(Store(collection))
    places.write_bytes(whole[:-4] + b"\xff\xff\x00\x00")  # a point that does not exist
    with pytest.raises(DamagedFile, match="is damaged; delete"):
        open_atlas(Store(collection))
    places.write_bytes(b"x" * len(whole))
    with pytest.raises(DamagedFile, match="cannot be read"):
        open_atlas(Store(collection))
    places.unlink()
    with pytest.raises(MissingFile, match="is missing"):
        open_atlas(Store(collection))
    note.unlink()
    assert not has_atlas(collection)
    with pytest.raises(MissingFile, match="has no atlas; make it with pairdex atlas"):
        open_atlas(Store(collection))


def test_verify_checks_the_files(collection):
    assert len(list(ATLAS.checks(collection, "atlas"))) == 4
    assert pairdex.verify(collection).damaged == []
    ids = next(folder_of(collection).glob("ids-*.npy"))
    data = bytearray(ids.read_bytes())
    data[-8] ^= 1
    ids.write_bytes(data)
    assert [one.file for one in pairdex.verify(collection).damaged] == [f"atlas/{ids.name}"]


def test_another_writer_is_an_error(collection):
    with lock.writing(collection), pytest.raises(CollectionBusy):
        pairdex.atlas(collection)
    assert open_atlas(Store(collection)).record.seed == 4


def test_without_the_extra_the_error_says_what_to_install(collection, monkeypatch):
    real = builtins.__import__

    def without_umap(name, *rest, **options):
        if name.partition(".")[0] == "umap":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_umap)
    with pytest.raises(MissingExtra, match=r"pip install 'pairdex\[atlas\]'"):
        pairdex.atlas(collection)


def test_the_command_makes_an_atlas_and_info_lists_it(collection, run):
    made = run("atlas", collection, "--sample", "50", "--json").json
    assert (made["rows"], made["points"]) == (240, 50)
    listed = run("info", collection, "--json").json["atlas"]
    assert (listed["points"], listed["current"]) == (50, True)
