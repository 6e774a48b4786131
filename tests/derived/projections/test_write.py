"""A projection is made once, resumed after a kill, extended with the collection, never read half-written."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.derived.projections.files import find_projections, open_projection
from pairdex.derived.projections.pca import fit_pca
from pairdex.derived.projections.rows import unit_rows
from pairdex.derived.projections.write import project_collection
from pairdex.errors import (
    CollectionBusy,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.files import lock
from pairdex.store.store import Store

# For n = 1, 2, …: copies a collection and projects it in a forked process that is killed before the n-th
# time that it renames or removes a file; ends behind the first that was not.
KILLED = """
import os, pathlib, shutil, signal, sys
from pairdex.derived.projections.fitting import FitOptions
from pairdex.derived.projections.write import project_collection
collection, targets, wish = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), eval(sys.argv[3])
def watch(at):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
at, status = 0, 1
while status != 0:
    at += 1
    target = targets / str(at)
    shutil.copytree(collection, target)
    child = os.fork()
    if not child:
        watch(at)
        project_collection(target, "pca3", options=wish)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
"""


def killed_everywhere(collection, targets, wish="FitOptions()"):
    """Return a collection for every instant at which projecting it was killed; the last one is complete."""
    targets.mkdir()
    command = [sys.executable, "-c", KILLED, str(collection), str(targets), wish]
    subprocess.run(command, check=True)
    return sorted(targets.iterdir(), key=lambda path: int(path.name))


def rows_of(projection):
    return np.concatenate(projection.blocks)


def test_the_rows_are_those_of_the_model_in_the_collections_order(collection):
    report = project_collection(collection, "pca3")
    store = Store(collection)
    projection = open_projection(store, "pca3")
    vectors = store.vectors("image")[:]
    expected = fit_pca([unit_rows(vectors)], 3)
    assert [len(block) for block in projection.blocks] == [30, 10, 20]
    assert projection.blocks[0].dtype == np.float32
    np.testing.assert_allclose(rows_of(projection), expected.apply(vectors), atol=1e-5)
    np.testing.assert_allclose(projection.apply(vectors), rows_of(projection), atol=1e-6)
    assert (projection.kind, projection.name, projection.dim) == ("pca", "pca3", 3)
    assert (report.rows, report.dim, report.fit_rows, report.projected) == (60, 3, 60, 60)
    assert report.explained_variance == pytest.approx(expected.explained_variance, rel=1e-6)


def test_the_files_are_plain_npy_and_the_model_plain_hdf5(collection):
    project_collection(collection, "pca3")
    folder = collection / "projections/pca3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "00000.npy",
        "00001.npy",
        "00002.npy",
        "model.h5",
        "projection.json",
    ]
    assert np.load(folder / "00001.npy").shape == (10, 3)
    with h5py.File(folder / "model.h5") as file:
        assert file["components"].shape == (3, 8)
        assert file.attrs["fit_rows"] == 60


def test_repeating_a_call_does_nothing(collection, tree):
    project_collection(collection, "pca3")
    before, written = tree(collection), times(collection)
    assert project_collection(collection, "pca3").projected == 0
    assert tree(collection) == before
    assert times(collection) == written


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("wanted", [4, 7, 59, 60])
def test_fit_rows_are_evenly_spaced_over_all_parts(collection, wanted):
    pairdex.project(collection, "pca3", fit_rows=wanted)
    store = Store(collection)
    rows = store.vectors("image")[np.arange(wanted) * 60 // wanted]
    expected = fit_pca([unit_rows(rows)], 3)
    model = open_projection(store, "pca3").model
    np.testing.assert_allclose(model.mean, expected.mean, atol=1e-6)
    np.testing.assert_allclose(model.variances, expected.variances, rtol=1e-4)


def test_another_number_of_fit_rows_fits_again_and_none_keeps_the_model(collection):
    assert pairdex.project(collection, "pca3", fit_rows=20).fit_rows == 20
    again = pairdex.project(collection, "pca3")
    assert (again.fit_rows, again.projected) == (20, 0)
    refitted = pairdex.project(collection, "pca3", fit_rows=60)
    assert (refitted.fit_rows, refitted.projected) == (60, 60)


def test_only_the_new_parts_of_a_collection_that_grew_are_projected(collection, make_parts, build):
    project_collection(collection, "pca3")
    first = rows_of(open_projection(Store(collection), "pca3"))
    old = Store(collection)
    build(make_parts(25, folder="more", numbers=[7]), collection)
    with pytest.raises(Mismatch, match=r"was made from 60 rows; .* 85 rows; run pairdex project"):
        open_projection(Store(collection), "pca3")
    report = project_collection(collection, "pca3")
    projection = open_projection(Store(collection), "pca3")
    assert (report.rows, report.projected, report.fit_rows) == (85, 25, 60)
    np.testing.assert_array_equal(rows_of(projection)[:60], first)
    np.testing.assert_allclose(
        projection.apply(Store(collection).vectors("image")[60:]),
        rows_of(projection)[60:],
        atol=1e-6,
    )
    # A reader of the previous version sees no change.
    np.testing.assert_array_equal(rows_of(open_projection(old, "pca3")), first)


def test_a_rebuilt_collection_is_projected_again(make_parts, build, tmp_path):
    build(make_parts(30, folder="a"), tmp_path / "c")
    project_collection(tmp_path / "c", "pca2")
    kept = tmp_path / "c/projections"
    kept.rename(tmp_path / "kept")
    build(make_parts(30, folder="b", numbers=[5]), tmp_path / "d")
    (tmp_path / "kept").rename(tmp_path / "d/projections")
    with pytest.raises(Mismatch, match="now has other vectors"):
        open_projection(Store(tmp_path / "d"), "pca2")
    assert project_collection(tmp_path / "d", "pca2").projected == 30
    open_projection(Store(tmp_path / "d"), "pca2")


def test_a_model_of_another_collection_can_be_used(collection, make_parts, build, tmp_path):
    project_collection(collection, "pca3")
    model = collection / "projections/pca3/model.h5"
    build(make_parts(40, folder="b", numbers=[5]), tmp_path / "d")
    pairdex.project(tmp_path / "d", "pca3", model=model)
    assert (tmp_path / "d/projections/pca3/model.h5").read_bytes() == model.read_bytes()
    # Without options, the existing model is kept.
    assert pairdex.project(tmp_path / "d", "pca3").projected == 0


@pytest.mark.parametrize(
    ("name", "match"),
    [("pca2", "makes pca3, expected pca2"), ("hamming", "makes pca3, expected hamming")],
)
def test_a_model_of_another_projection_is_refused(collection, name, match):
    project_collection(collection, "pca3")
    with pytest.raises(Mismatch, match=match):
        pairdex.project(collection, name, model=collection / "projections/pca3/model.h5")
    assert find_projections(Store(collection)) == ["pca3"]
    assert not (collection / "projections" / name).exists()


def test_a_model_of_another_dimension_and_a_file_that_is_not_a_model_are_refused(
    collection, make_parts, build, tmp_path
):
    build(make_parts(30, folder="wide-parts", dim=16), tmp_path / "wide")
    project_collection(tmp_path / "wide", "pca3")
    with pytest.raises(Mismatch, match=r"vectors of 16 dimensions, .* has 8"):
        pairdex.project(collection, "pca3", model=tmp_path / "wide/projections/pca3/model.h5")
    with pytest.raises(MissingFile, match="name the model file of a projection"):
        pairdex.project(collection, "pca3", model=tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(UnsupportedFormat, match=r"text\.h5 is not an HDF5 file"):
        pairdex.project(collection, "pca3", model=tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(UnsupportedFormat, match="is not the model of a projection"):
        pairdex.project(collection, "pca3", model=tmp_path / "other.h5")


@pytest.mark.parametrize("name", ["pca0", "pca", "pca-3", "PCA3", "pca03", "../pca3", "sketch", ""])
def test_an_invalid_name_is_refused(collection, name):
    with pytest.raises(InvalidArgument, match="the projection is"):
        project_collection(collection, name)
    assert not (collection / "projections").exists()


def test_more_components_than_dimensions_leave_nothing_behind(collection, tree):
    before = tree(collection)
    with pytest.raises(InvalidArgument, match="expected pca1 to pca8"):
        project_collection(collection, "pca9")
    with pytest.raises(InvalidArgument, match="fit-rows is 61, expected 1 to 60"):
        pairdex.project(collection, "pca3", fit_rows=61)
    assert tree(collection) == before


def test_an_empty_collection_is_refused(make_parts, build, tmp_path):
    build(make_parts(5), tmp_path / "c", where="false")
    with pytest.raises(InvalidArgument, match="has no rows to fit a model to"):
        project_collection(tmp_path / "c", "pca2")


def test_another_writer_is_an_error(collection):
    with lock.writing(collection), pytest.raises(CollectionBusy):
        project_collection(collection, "pca3")


def test_a_kill_before_any_change_leaves_nothing_half_written_and_the_call_resumes(
    make_parts, build, tmp_path, tree
):
    build(make_parts(30, 10), tmp_path / "c")
    *killed, whole = killed_everywhere(tmp_path / "c", tmp_path / "killed")
    assert len(killed) > 5
    expected = tree(whole)
    for collection in killed:
        store = Store(collection)
        if find_projections(store):
            assert len(rows_of(open_projection(store, "pca3"))) == 40
        project_collection(collection, "pca3")
        assert tree(collection) == expected, collection.name


def test_a_kill_while_a_projection_is_replaced_leaves_the_old_the_new_or_none(collection, tmp_path):
    pairdex.project(collection, "pca3", fit_rows=10)
    vectors = Store(collection).vectors("image")[:]
    seen = set()
    for killed in killed_everywhere(collection, tmp_path / "killed", "FitOptions(fit_rows=60)"):
        store = Store(killed)
        if find_projections(store):
            projection = open_projection(store, "pca3")
            np.testing.assert_allclose(projection.apply(vectors), rows_of(projection), atol=1e-6)
            seen.add(projection.record.fit_rows)
        assert pairdex.project(killed, "pca3", fit_rows=60).fit_rows == 60
    assert seen == {10, 60}


def test_a_finished_part_is_not_projected_again_after_a_kill(make_parts, build, tmp_path):
    build(make_parts(30, 10), tmp_path / "c")
    killed = killed_everywhere(tmp_path / "c", tmp_path / "killed")
    notes = [path for path in killed if (path / "projections/pca3/.making/00000.npy.json").exists()]
    first = notes[0] / "projections/pca3/00000.npy"
    made = first.stat().st_mtime_ns
    assert project_collection(notes[0], "pca3").projected == 10
    assert first.stat().st_mtime_ns == made


def test_a_model_left_by_a_killed_run_with_other_options_is_not_used(make_parts, build, tmp_path):
    build(make_parts(30), tmp_path / "c")
    pairdex.project(tmp_path / "c", "pca3", fit_rows=10)
    (tmp_path / "c/projections/pca3/projection.json").unlink()
    assert pairdex.project(tmp_path / "c", "pca3").fit_rows == 30
