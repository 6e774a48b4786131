"""Deriving: a collection of some rows of another has these rows unchanged, and says where they came from."""

import json
import shutil

import numpy as np
import pytest

import pairdex
from pairdex.curate.derive import derive_collection, derived_before
from pairdex.curate.score import score
from pairdex.derived.verify import verify
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.parts.columns import ORIGIN
from pairdex.store import staging
from pairdex.store.manifest import Origin, read_manifest
from pairdex.store.store import Store


def origin_of(store, **rule):
    return Origin(store.manifest.name, store.checksum, {"command": "test", **rule})


def derive(store, new, keep, **options):
    return derive_collection(store, new, keep, origin=origin_of(store), **options)


def some_rows(store, share, seed=1):
    return np.random.default_rng(seed).random(store.rows) < share


@pytest.mark.parametrize("share", [0.05, 0.5, 1])
def test_the_kept_rows_are_the_same_to_the_bit_with_new_ids(collection, tmp_path, share):
    store = Store(collection)
    keep = some_rows(store, share)
    report = derive(store, tmp_path / "new", keep)
    made, kept = Store(tmp_path / "new"), np.flatnonzero(keep)
    assert (report.rows, report.added) == (len(kept), len(kept))
    assert made.take(np.arange(made.rows)) == store.take(kept)
    for kind in ("image", "text"):
        found, expected = made.vectors(kind)[:], store.vectors(kind)[kept]
        np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))
    assert verify(tmp_path / "new").damaged == []


def test_rows_of_many_batches_and_parts_are_the_same(make_parts, build, tmp_path):
    build(make_parts(40_000, 17, 20_000, dim=2, text=False), tmp_path / "c")
    store = Store(tmp_path / "c")
    keep = some_rows(store, 0.3)
    keep[16_384:32_768] = False
    keep[32_768:40_000] = True
    derive(store, tmp_path / "new", keep)
    made, kept = Store(tmp_path / "new"), np.flatnonzero(keep)
    assert made.take(np.arange(made.rows)) == store.take(kept)
    np.testing.assert_array_equal(made.vectors("image")[:], store.vectors("image")[kept])


def test_the_manifest_names_the_origin_the_sources_and_what_was_left_out(collection, tmp_path):
    store = Store(collection)
    keep = np.zeros(60, np.bool_)
    keep[[3, 4, 45]] = True
    report = derive(store, tmp_path / "new", keep)
    manifest = read_manifest(tmp_path / "new")
    assert manifest.origin == Origin("collection", store.manifest.checksum, {"command": "test"})
    assert (manifest.name, manifest.columns) == ("new", store.manifest.columns)
    assert [(part.number, part.rows, part.rows_read) for part in manifest.parts] == [
        (0, 2, 30),
        (2, 1, 20),
    ]
    assert report.dropped == {"left_out": 47}
    assert manifest.parts[1].sources == list(store.manifest.parts[2].files.values())
    assert manifest.parts[1].files["image"].path == "image/00001.npy"


def test_a_collection_built_from_parts_says_nothing_of_an_origin(collection):
    assert read_manifest(collection).origin is None
    assert "origin" not in json.loads((collection / "collection.json").read_bytes())


def test_origins_of_rows_stay_those_of_the_parts(collection, tmp_path):
    store = Store(collection)
    derive(store, tmp_path / "new", np.arange(60) % 7 == 0)
    derive(Store(tmp_path / "new"), tmp_path / "newer", np.arange(9) % 2 == 0)
    names = [name for name, _ in ORIGIN]
    made = Store(tmp_path / "newer")
    assert made.take(np.arange(5), names) == store.take(np.arange(0, 60, 14), names)


def test_removed_rows_are_never_handed_on(collection, tmp_path):
    pairdex.remove(collection, where="id % 4 = 1", reason="a test")
    derive(Store(collection), tmp_path / "new", np.arange(60) < 10)
    made = Store(tmp_path / "new")
    assert made.take(np.arange(made.rows), ["row"])["row"].to_pylist() == [0, 2, 3, 4, 6, 7, 8]
    pairdex.subset(collection, tmp_path / "sample", sample=45)
    rows = Store(tmp_path / "sample").take(np.arange(45))
    assert rows == Store(collection).take(np.flatnonzero(np.arange(60) % 4 != 1))


def test_computed_columns_come_along(collection, tmp_path, make_parts, build):
    head = tmp_path / "aesthetic.npz"
    np.savez(head, weight=np.linspace(-3, 3, 8)[None, :], bias=np.array([5.0]))
    score(collection, aesthetic=head)
    build(make_parts(30, 10, 20, 9), collection)  # the last part has no scores yet
    keep = np.arange(69) % 3 > 0
    keep[30:40] = False  # a whole part
    derive(Store(collection), tmp_path / "new", keep)
    expected = Store(collection).take(np.flatnonzero(keep))["aesthetic"].to_pylist()
    assert Store(tmp_path / "new").take(np.arange(keep.sum()))["aesthetic"].to_pylist() == expected
    assert expected[-1] is None
    assert expected[0] is not None
    assert score(tmp_path / "new", aesthetic=head).scored == 6
    assert verify(tmp_path / "new").damaged == []


def test_what_a_killed_derivation_leaves_of_computed_columns_is_no_hindrance(
    collection, tmp_path, tree, monkeypatch
):
    head = tmp_path / "aesthetic.npz"
    np.savez(head, weight=np.linspace(-3, 3, 8)[None, :], bias=np.array([5.0]))
    score(collection, aesthetic=head)
    keep = np.arange(60) % 2 == 0
    derive(Store(collection), tmp_path / "a" / "new", keep)
    leftover = tmp_path / "b" / "new"
    (leftover / "scores" / "punsafe").mkdir(parents=True)
    (leftover / "scores" / "punsafe" / "score.json").write_text("half")
    derive(Store(collection), leftover, keep)
    assert tree(leftover) == tree(tmp_path / "a" / "new")


def test_pictures_and_model_are_handed_on(make_parts, build, tmp_path):
    source = make_parts(9)
    model = {"name": "some", "dim": 8, "checksum": "0123456789abcdef" * 2, "folder": None}
    note = {"format": 1, "model": model, "pictures": "/pictures"}
    (source / "pairdex.json").write_text(json.dumps(note))
    build(source, tmp_path / "c")
    derive(Store(tmp_path / "c"), tmp_path / "new", np.arange(9) > 4)
    manifest = read_manifest(tmp_path / "new")
    assert (manifest.model, manifest.parts[0].pictures) == (model, "/pictures")


def test_workers_and_another_place_change_no_byte(collection, tmp_path, tree):
    shutil.copytree(collection, tmp_path / "elsewhere" / "collection")
    for place, workers in ((collection, 1), (tmp_path / "elsewhere" / "collection", 2)):
        store = Store(place)
        derive(store, tmp_path / str(workers) / "new", some_rows(store, 0.5), workers=workers)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def test_the_same_call_again_does_nothing(collection, tmp_path, tree, monkeypatch):
    store = Store(collection)
    keep = some_rows(store, 0.5)
    derive(store, tmp_path / "new", keep)
    before = tree(tmp_path / "new")
    monkeypatch.setattr(staging, "_once", lambda *_: pytest.fail("written again"))
    assert derived_before(tmp_path / "absent", origin_of(store)) is None
    for report in (
        derive(store, tmp_path / "new", keep),
        derived_before(tmp_path / "new", origin_of(store)),
    ):
        assert (report.rows, report.added) == (int(keep.sum()), 0)
    assert tree(tmp_path / "new") == before


def test_another_collection_is_not_overwritten(collection, tmp_path, tree):
    store = Store(collection)
    derive(store, tmp_path / "new", np.arange(60) > 4)
    before = tree(tmp_path)
    with pytest.raises(
        InvalidArgument,
        match=r"new is a collection already, made of collection \(.{12}\) by test: name",
    ):
        derive_collection(
            store, tmp_path / "new", np.arange(60) > 5, origin=origin_of(store, limit=1)
        )
    with pytest.raises(InvalidArgument, match=r"is a collection already, built from parts: name"):
        derive(store, collection, np.arange(60) > 4)
    assert tree(tmp_path) == before


def test_no_row_at_all_is_refused(collection, tmp_path):
    store = Store(collection)
    with pytest.raises(
        InvalidArgument, match=r"no row of .*collection is left by test; a collection needs one"
    ):
        derive(store, tmp_path / "new", np.zeros(60, np.bool_))
    assert not (tmp_path / "new").exists()


def test_damage_in_the_first_collection_leaves_nothing_behind(collection, tmp_path):
    store = Store(collection)
    path = collection / "image" / "00001.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"00001\.npy"):
        derive(store, tmp_path / "new", np.arange(60) > 35)
    assert not (tmp_path / "new").exists()


def test_parts_cannot_be_added_to_rows_of_another_collection(
    collection, make_parts, build, tmp_path
):
    derive(Store(collection), tmp_path / "new", np.arange(60) > 4)
    source = make_parts(5, folder="more", numbers=[7])
    with pytest.raises(Mismatch, match=r"new was made of rows of collection: parts cannot"):
        build(source, tmp_path / "new")
