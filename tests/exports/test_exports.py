"""Every format is written whole or not at all, reproducibly and completely; then each by its own reader."""

import io
import json
import subprocess
import sys
import tarfile

import datasets
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from conftest import laion_columns
from pairdex.encoders.encode import encode
from pairdex.errors import InvalidArgument
from pairdex.exports import folders
from pairdex.exports.clickhouse import export_clickhouse
from pairdex.exports.laion import export_laion
from pairdex.exports.parquet import export_parquet
from pairdex.exports.webdataset import export_webdataset
from pairdex.store.store import Store

FORMATS = {
    "parquet": export_parquet,
    "laion": export_laion,
    "webdataset": export_webdataset,
    "clickhouse": export_clickhouse,
}


@pytest.fixture(params=FORMATS)
def export(request):
    return FORMATS[request.param]


class Killed(BaseException):
    """Ends an export as SIGKILL would, except that context managers still run."""


def test_an_export_counts_its_rows_and_files(export, collection, tmp_path):
    seen = []
    report = export(Store(collection), tmp_path / "out", progress=lambda *a: seen.append(a))
    files = [path for path in (tmp_path / "out").rglob("[!.]*") if path.is_file()]
    assert (report.rows, report.files, report.left_out) == (60, len(files), {})
    assert seen == [(30, 60), (40, 60), (60, 60)]


def test_the_same_collection_gives_the_same_bytes(export, collection, tmp_path, tree):
    for name in ("one", "two"):
        export(Store(collection), tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_an_export_killed_after_any_write_resumes_and_gives_the_same_bytes(
    export, collection, tmp_path, tree, monkeypatch
):
    export(Store(collection), tmp_path / "whole")
    rename = type(tmp_path).replace
    for survived in range(40):
        calls = []

        def replace(path, target, calls=calls, survived=survived):
            if len(calls) == survived:
                raise Killed
            calls.append(target)
            return rename(path, target)

        monkeypatch.setattr(type(tmp_path), "replace", replace)
        target = tmp_path / f"killed-{survived}"
        try:
            export(Store(collection), target)
            break
        except Killed:
            monkeypatch.setattr(type(tmp_path), "replace", rename)
            assert not target.exists()
        export(Store(collection), target)
        assert tree(target) == tree(tmp_path / "whole")
        assert not list(tmp_path.glob(".killed*"))
    assert survived > 4, "no kill was tried"


def test_finished_units_are_not_written_again(collection, tmp_path, monkeypatch):
    target, tried = tmp_path / "out", []

    def stop(done, total):
        tried.append(done)
        if done == 40:
            raise Killed

    with pytest.raises(Killed):
        export_parquet(Store(collection), target, progress=stop)
    before = (tmp_path / ".out.export/00001.parquet").stat().st_ino
    export_parquet(Store(collection), target)
    assert (target / "00001.parquet").stat().st_ino == before


def test_files_left_by_an_export_with_other_options_are_deleted(collection, tmp_path):
    store, target = Store(collection), tmp_path / "out"

    def stop(done, total):
        raise Killed

    with pytest.raises(Killed):
        export_parquet(store, target, vectors=[], progress=stop)
    export_parquet(store, target)
    assert "image_embedding" in pq.read_schema(target / "00000.parquet").names


def test_an_existing_target_is_refused_and_unchanged(export, collection, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("precious")
    with pytest.raises(InvalidArgument, match="out already exists; name a new folder"):
        export(Store(collection), tmp_path / "out")
    assert (tmp_path / "out/mine").read_text() == "precious"


def test_an_empty_folder_may_be_the_target(export, collection, tmp_path):
    (tmp_path / "out").mkdir()
    assert export(Store(collection), tmp_path / "out").rows == 60


def test_building_and_exporting_parts_gives_the_same_bytes(make_parts, build, tmp_path, tree):
    source = make_parts(30, 10, 20, numbers=[9, 10, 11], layout="laion400m")
    build(source, tmp_path / "c")
    export_laion(Store(tmp_path / "c"), tmp_path / "again")
    for path in source.rglob("*.npy"):
        assert (tmp_path / "again" / path.relative_to(source)).read_bytes() == path.read_bytes()
    for path in source.rglob("*.parquet"):
        again = pq.read_table(tmp_path / "again" / path.relative_to(source))
        assert again.equals(pq.read_table(path))
    build(tmp_path / "again", tmp_path / "d")
    one, other = tree(tmp_path / "c"), tree(tmp_path / "d")
    del one["collection.json"], other["collection.json"]
    assert one == other


def test_parts_with_the_same_number_are_renumbered(make_parts, build, tmp_path):
    build(make_parts(5, folder="a"), tmp_path / "c")
    other = make_parts(6, folder="b", columns=lambda _, rows: laion_columns("b", rows))
    np.save(other / "img_emb_0.npy", -np.load(other / "img_emb_0.npy"))
    np.save(other / "text_emb_0.npy", -np.load(other / "text_emb_0.npy"))
    build(other, tmp_path / "c")
    export_laion(Store(tmp_path / "c"), tmp_path / "out")
    assert [len(np.load(tmp_path / f"out/img_emb/img_emb_{i}.npy")) for i in (0, 1)] == [5, 6]


def test_hugging_face_datasets_reads_the_parquet(collection, tmp_path):
    export_parquet(Store(collection), tmp_path / "out")
    files = sorted(map(str, (tmp_path / "out").glob("*.parquet")))
    found = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    store = Store(collection)
    assert found["id"][:] == list(range(60))
    assert found["caption"][:] == store.take(np.arange(60))["caption"].to_pylist()
    vectors = np.array(found["image_embedding"][:], np.float16)
    assert np.array_equal(vectors, np.asarray(store.vectors("image")))


def test_duckdb_reads_the_parquet_with_its_vectors(collection, tmp_path):
    export_parquet(Store(collection), tmp_path / "out", vectors=["text"])
    rows = duckdb.sql(
        f"SELECT id, text_embedding FROM '{tmp_path}/out/*.parquet' WHERE id = 33"
    ).fetchall()
    assert np.array_equal(np.array(rows[0][1], np.float16), Store(collection).vectors("text")[33])


def test_missing_vectors_cannot_be_exported(make_parts, build, tmp_path):
    build(make_parts(3, text=False), tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has no 'text' vectors"):
        export_parquet(Store(tmp_path / "c"), tmp_path / "out", vectors=["text"])
    assert not (tmp_path / "out").exists()


@pytest.fixture
def own_pictures(tmp_path, build):
    """A collection of five local pictures, one of which was deleted."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(5):
        Image.new("RGB", (40, 30), (40 * i, 0, 0)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f'caption "{i}"\nüber')
    encode(folder, tmp_path / "encoded", model="demo")
    build(tmp_path / "encoded", tmp_path / "own")
    (folder / "3.png").unlink()
    return tmp_path / "own"


def members(folder):
    """Every member of every tar: (tar, key, suffix) -> content."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                found[path.stem, key, suffix] = tar.extractfile(member).read()
    return found


def test_a_webdataset_has_pictures_captions_metadata_and_vectors(own_pictures, tmp_path):
    store = Store(own_pictures)
    report = export_webdataset(store, tmp_path / "out", tar_rows=2)
    found = members(tmp_path / "out")
    assert (report.rows, report.files) == (5, 3)
    assert {(tar, key) for tar, key, _ in found} == {
        (f"{i // 2:05d}", f"{i:09d}") for i in range(5)
    }
    one = {suffix: found["00001", "000000002", suffix] for suffix in ("png", "txt", "json")}
    assert one["png"] == (tmp_path / "pictures/2.png").read_bytes()
    assert one["txt"].decode() == store.take(np.array([2]))["caption"][0].as_py()
    assert json.loads(one["json"])["id"] == 2
    vector = np.load(io.BytesIO(found["00001", "000000002", "img_emb.npy"]))
    assert np.array_equal(vector, store.vectors("image")[2])
    assert ("00001", "000000003", "png") not in found
    assert ("00001", "000000003", "json") in found


def test_a_webdataset_killed_while_tars_are_renamed_resumes(
    collection, tmp_path, tree, monkeypatch
):
    export_webdataset(Store(collection), tmp_path / "whole", tar_rows=7)
    rename = type(tmp_path).rename
    count = []

    def stop(path, target):
        count.append(path)
        if len(count) == 4:
            raise Killed
        return rename(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", stop)
    with pytest.raises(Killed):
        export_webdataset(Store(collection), tmp_path / "out", tar_rows=7)
    monkeypatch.setattr(type(tmp_path), "rename", rename)
    monkeypatch.setattr("pairdex.exports.webdataset._write_tar", None)  # nothing is written again
    export_webdataset(Store(collection), tmp_path / "out", tar_rows=7)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_tars_of_zero_rows_are_refused(collection, tmp_path):
    with pytest.raises(InvalidArgument, match="the number of rows per tar is 0"):
        export_webdataset(Store(collection), tmp_path / "out", tar_rows=0)


def test_two_exports_to_one_target_exclude_each_other(collection, tmp_path):
    def again(done, total):
        export_parquet(Store(collection), tmp_path / "out")

    with pytest.raises(folders.lock.CollectionBusy, match="is being written by another process"):
        export_parquet(Store(collection), tmp_path / "out", progress=again)


def test_clickhouse_loads_the_files_with_the_script(collection, tmp_path):
    pytest.importorskip("chdb")
    export_clickhouse(Store(collection), tmp_path / "out")
    program = """
import sys
from chdb import session
engine = session.Session(sys.argv[1])
for statement in open("laion.sql").read().split(";\\n"):
    if statement.strip():
        engine.query(statement)
print(engine.query("SELECT id, caption, NSFW, similarity, image_embedding FROM laion ORDER BY id", "JSONEachRow"))
"""
    run = subprocess.run(
        [sys.executable, "-c", program.replace("\\\\n", "\\n"), str(tmp_path / "database")],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in run.stdout.splitlines() if line]
    expected = Store(collection).take(np.arange(60))
    assert [row["id"] for row in rows] == list(range(60))
    assert [row["caption"] for row in rows] == expected["caption"].to_pylist()
    assert [row["NSFW"] for row in rows] == [tag or "" for tag in expected["nsfw"].to_pylist()]
    vectors = np.array([row["image_embedding"] for row in rows], np.float16)
    assert np.array_equal(vectors, np.asarray(Store(collection).vectors("image")))


def test_the_same_export_again_reports_the_finished_one(export, collection, tmp_path, tree):
    first = export(Store(collection), tmp_path / "out")
    before = tree(tmp_path)
    again = export(Store(collection), tmp_path / "out")
    assert (again.rows, again.files, again.left_out) == (first.rows, first.files, first.left_out)
    assert tree(tmp_path) == before


def test_a_finished_export_that_has_changed_is_not_taken_for_the_same(collection, tmp_path):
    export_parquet(Store(collection), tmp_path / "out")
    (tmp_path / "out" / "00001.parquet").write_bytes(b"cut")
    with pytest.raises(InvalidArgument, match="already exists"):
        export_parquet(Store(collection), tmp_path / "out")


def test_another_export_to_the_place_of_a_finished_one_is_refused(collection, tmp_path):
    export_parquet(Store(collection), tmp_path / "out", vectors=["image"])
    with pytest.raises(InvalidArgument, match="already exists"):
        export_parquet(Store(collection), tmp_path / "out", vectors=["text"])
