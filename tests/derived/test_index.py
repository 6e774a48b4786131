"""The approximate index of a collection reaches the requested recall, or reports that it does not."""

import json
import logging
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import pairdex
from conftest import laion_columns, save_part
from ivf_data import DIM, image_and_text_rows
from pairdex.derived.index import find_index, ivf_path
from pairdex.errors import InvalidArgument, MissingFile
from pairdex.evaluation.search_file import search_file
from pairdex.files.sealed_json import sealed
from pairdex.ivf import quantiser
from pairdex.ivf.costs import BatchCosts, Costs, ExactCost, IndexCost
from pairdex.ivf.file import IvfFile
from pairdex.ivf.parameters import choose
from pairdex.ivf.quantiser import train
from pairdex.ivf.search import InvertedIndex
from pairdex.search.searcher import Searcher
from pairdex.store.store import Store
from places import DATA

ROWS = 24_000  # of each part
NEARLY = 0.01  # the sampling error of recalls measured with a few hundred queries


def held_out(kind):
    images, texts = image_and_text_rows(300, 99)
    return (images if kind == "image" else texts).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Parts 0 and 1, and a collection of part 0 with an index of its images."""
    folder = tmp_path_factory.mktemp("ivf")
    for number in range(2):
        images, texts = image_and_text_rows(ROWS, number + 1)
        columns = laion_columns(number, ROWS)
        columns["chance"] = np.random.default_rng(number).permutation(ROWS)
        similarity = images.astype(np.float32) @ held_out("image")[0]
        columns["nearness"] = np.argsort(
            np.argsort(-similarity)
        )  # to the first query: 0 the nearest
        save_part(folder / "parts", number, images, texts, columns)
    pairdex.build(folder / "parts", folder / "c", parts={0})
    pairdex.index(folder / "c")
    return folder


@pytest.fixture
def indexed(made, tmp_path):
    """A copy of the collection to change."""
    shutil.copytree(made / "c", tmp_path / "c")
    return tmp_path / "c"


def recall(collection, queries, k=10, **how):
    """Recall against the exact search, counting ties with the k-th row; and whether the index was used."""
    opened = pairdex.open(collection)
    found = opened.nearest(queries, k, **how)
    how.pop("recall", None)
    true = opened.nearest(queries, k, exact=True, **how)
    assert true.report.exact
    kth = np.where(np.isfinite(true.distances), true.distances, -1).max(axis=1, keepdims=True)
    share = np.count_nonzero(found.distances <= kth + 1e-9) / np.count_nonzero(true.ids >= 0)
    return share, not found.report.exact


@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_the_requested_recall_is_reached_by_queries_it_was_not_tuned_on(made, kind, wanted):
    share, by_index = recall(made / "c", held_out(kind), recall=wanted)
    assert by_index
    assert share >= wanted - NEARLY


def test_the_recall_of_a_hundred_neighbours_is_reached(made):
    opened = pairdex.open(made / "c")
    index, points = opened.index()
    for kind in ("image", "text"):
        plan = index.plan(points, held_out(kind), 100, 0.9)
        found = index.search(held_out(kind), 100, plan)
        true = opened.nearest(held_out(kind), 100, exact=True)
        assert np.mean(found.distances <= true.distances[:, 99:] + 1e-9) >= 0.9 - NEARLY


def test_text_vectors_can_be_indexed_too(made, tmp_path):
    shutil.copytree(made / "c", tmp_path / "c")
    report = pairdex.index(tmp_path / "c", on="text")
    assert report.efforts["text"].recall >= 0.95
    share, by_index = recall(tmp_path / "c", held_out("text"), on="text")
    assert by_index
    assert share >= 0.95 - NEARLY


def test_a_compact_index_reaches_the_recall_in_less_space(made, indexed):
    report = pairdex.index(indexed, size="compact")
    assert report.how == "built"
    assert report.bytes < ivf_path(made / "c", "image").stat().st_size
    for kind in ("image", "text"):
        share, by_index = recall(indexed, held_out(kind))
        assert by_index
        assert share >= 0.95 - NEARLY


def test_distances_are_those_of_the_stored_vectors(made):
    opened = pairdex.open(made / "c")
    queries = held_out("image")[:20]
    found = opened.nearest(queries, 10)
    rows = np.asarray(opened.vectors("image"))[found.ids].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    wide = queries.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    assert np.abs(1 - np.einsum("qkd,qd->qk", rows, wide) - found.distances).max() < 1e-12
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_a_query_finds_the_same_rows_alone_and_in_a_batch(made):
    opened = pairdex.open(made / "c")
    queries = np.concatenate([held_out("image")[:20], held_out("text")[:20]])
    index, points = opened.index()
    plan = index.plan(points, queries, 10, 0.95)
    together = index.search(queries, 10, plan, threads=2)
    alone = [index.search(query[None], 10, plan, threads=1).ids[0] for query in queries]
    np.testing.assert_array_equal(together.ids, alone)


def test_many_neighbours_or_few_rows_are_searched_exactly(made):
    opened = pairdex.open(made / "c")
    assert opened.nearest(held_out("image"), 101).report.exact
    assert opened.nearest(held_out("image"), 10, where="id < 300").report.exact


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("which", ["chance < {n}", "nearness < {n}", "nearness >= {rest}"])
def test_filters_keep_the_recall(made, share, which):
    """Filters that keep 50 to 0.1 % of the rows: random rows, the nearest to the queries, the farthest."""
    count = int(share * ROWS)
    where = which.format(n=count, rest=ROWS - count)
    near_first = held_out("image")[:1] + 0.2 * held_out("image")[:40]
    found = recall(made / "c", near_first, where=where)[0]
    assert found >= 0.95 - 2 * NEARLY
    ids = pairdex.open(made / "c").nearest(near_first, 10, where=where)[0]
    assert np.count_nonzero(ids >= 0, axis=1).min() == min(count, 10)


def test_removed_rows_are_not_found(indexed):
    opened = pairdex.open(indexed)
    first = opened.nearest(held_out("image"), 10).ids
    gone = np.unique(first[:, :5])
    (indexed.parent / "ids.txt").write_text("\n".join(map(str, gone)))
    pairdex.remove(indexed, ids=indexed.parent / "ids.txt", reason="test")
    found = opened.nearest(held_out("image"), 10)
    assert not found.report.exact
    assert not np.isin(found.ids, gone).any()
    assert recall(indexed, held_out("image"))[0] >= 0.95 - NEARLY


def test_new_parts_are_added_to_the_index(made, indexed, caplog):
    pairdex.build(made / "parts", indexed, parts={0, 1})
    with caplog.at_level(logging.WARNING):
        share, by_index = recall(indexed, held_out("image"))
    assert (share, by_index) == (1.0, False)  # the outdated index causes a warning and is not used
    assert "update it with pairdex index" in caplog.text
    centroids = np.array(IvfFile(ivf_path(indexed, "image")).section("centroids"))
    pairdex.index(indexed)  # twice the rows: the lists are trained again
    assert not np.array_equal(IvfFile(ivf_path(indexed, "image")).section("centroids"), centroids)
    for kind in ("image", "text"):
        share, by_index = recall(indexed, held_out(kind))
        assert by_index
        assert share >= 0.95 - NEARLY


def test_a_few_new_rows_keep_the_lists_and_the_recall(made, tmp_path):
    images, texts = image_and_text_rows(ROWS // 10, 5)
    shutil.copytree(made / "c", tmp_path / "c")
    shutil.copytree(made / "parts", tmp_path / "parts")
    columns = laion_columns(1, ROWS // 10)
    columns["chance"] = columns["nearness"] = np.arange(ROWS // 10)
    save_part(tmp_path / "parts", 1, images, texts, columns)
    pairdex.build(tmp_path / "parts", tmp_path / "c", parts={0, 1})
    old = IvfFile(ivf_path(made / "c", "image"))
    report = pairdex.index(tmp_path / "c")
    assert (report.how, report.rows) == ("extended", ROWS + ROWS // 10)
    new = IvfFile(ivf_path(tmp_path / "c", "image"))
    np.testing.assert_array_equal(old.section("centroids"), new.section("centroids"))
    ids = new.section("ids")
    assert sorted(ids[ids != 0xFFFFFFFF].tolist()) == list(range(report.rows))
    for kind in ("image", "text"):
        share, by_index = recall(tmp_path / "c", held_out(kind))
        assert by_index
        assert share >= 0.95 - NEARLY
    opened = pairdex.open(tmp_path / "c")
    own = opened.nearest(np.asarray(images[:100], np.float32), 1)
    assert np.mean(own.ids[:, 0] == np.arange(ROWS, ROWS + 100)) > 0.95


def test_the_same_rows_give_the_same_bytes_however_the_parts_were_added(made, tmp_path):
    for name in ("a", "b"):
        pairdex.build(made / "parts", tmp_path / name, parts={0, 1})
        pairdex.index(tmp_path / name)
    one, other = (ivf_path(tmp_path / name, "image").read_bytes() for name in ("a", "b"))
    assert one == other


def test_a_current_index_is_not_changed(indexed):
    written = ivf_path(indexed, "image").stat().st_mtime_ns
    report = pairdex.index(indexed)
    assert report.how == "unchanged"
    assert ivf_path(indexed, "image").stat().st_mtime_ns == written


@pytest.mark.parametrize("together", [1, 333, 5000])
def test_the_lists_do_not_depend_on_the_block_size(monkeypatch, together):
    images, texts = image_and_text_rows(6000, 1)
    parameters = choose(len(images), DIM, nlist=70)
    whole = train([images], parameters, other_blocks=[texts])
    monkeypatch.setattr(quantiser, "_TOGETHER", together)
    pieces = train([images], parameters, other_blocks=[texts])
    np.testing.assert_array_equal(pieces.centroids, whole.centroids)


def test_a_killed_build_resumes_and_gives_the_same_bytes(made, tmp_path):
    pairdex.build(made / "parts", tmp_path / "c", parts={0, 1})
    shutil.copytree(tmp_path / "c", tmp_path / "whole")
    pairdex.index(tmp_path / "whole")
    expected = ivf_path(tmp_path / "whole", "image").read_bytes()
    command = [sys.executable, "-m", "pairdex", "index", str(tmp_path / "c")]
    for wait in (0.9, 1.2, 1.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert ivf_path(tmp_path / "c", "image").read_bytes() == expected
    assert not list((tmp_path / "c" / "indexes" / "image").glob("*.building"))


@pytest.mark.parametrize("place", [0, 60, 5000, 0.3, 0.5])
def test_damage_causes_a_warning_and_exact_answers(indexed, place, caplog):
    path = ivf_path(indexed, "image")
    data = bytearray(path.read_bytes())
    at = place if isinstance(place, int) else int(place * len(data))
    data[at] ^= 0x10
    path.write_bytes(data)
    assert "ivf" in pairdex.verify(indexed).damaged[0].file
    with caplog.at_level(logging.WARNING):
        share, by_index = recall(indexed, held_out("image"))
    assert share >= 0.9
    if not by_index:
        assert "searching exactly, without the index" in caplog.text
    assert pairdex.index(indexed).how == "built"
    assert pairdex.verify(indexed).damaged == []
    share, by_index = recall(indexed, held_out("image"))
    assert by_index
    assert share >= 0.95 - NEARLY


@pytest.mark.parametrize("keep", [0, 10, 100, 5000, 100_000])
def test_a_truncated_index_causes_a_warning(indexed, keep, caplog):
    path = ivf_path(indexed, "image")
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        assert recall(indexed, held_out("image")) == (1.0, False)
    assert "searching exactly, without the index" in caplog.text


def test_random_codes_do_not_crash_a_search(indexed):
    """Opening an index does not check its codes, but with any codes a search returns valid rows."""
    path = ivf_path(indexed, "image")
    clean = path.read_bytes()
    header = IvfFile(path).header
    first = next(at for name, at, _ in header.offsets() if name == "groups")
    rng = np.random.default_rng(0)
    for _ in range(20):
        noise = rng.integers(0, 256, len(clean) - first, np.uint8).tobytes()
        path.write_bytes(clean[:first] + noise)
        opened = pairdex.open(indexed)
        found = opened.nearest(held_out("text"), 10)
        assert ((found.ids >= -1) & (found.ids < ROWS)).all()


def test_operating_points_of_another_index_are_refused(made, indexed, caplog):
    pairdex.index(indexed, nlist=50)
    shutil.copy(made / "c/indexes/image/ivf.json", indexed / "indexes/image/ivf.json")
    with caplog.at_level(logging.WARNING):
        assert find_index(Store(indexed), "image") is None
    assert "belongs to another index" in caplog.text


def test_queries_unlike_all_rows_are_searched_exactly_without_text_vectors(tmp_path):
    images, _ = image_and_text_rows(ROWS, 1)
    save_part(tmp_path / "parts", 0, images, None, laion_columns(0, ROWS), "laion2b")
    shutil.rmtree(tmp_path / "parts" / "text_emb", ignore_errors=True)
    pairdex.build(tmp_path / "parts", tmp_path / "c")
    report = pairdex.index(tmp_path / "c")
    assert report.efforts["text"] is None
    assert recall(tmp_path / "c", held_out("image"))[1]
    found = pairdex.open(tmp_path / "c").nearest(held_out("text"), 10)
    unlike = find_index(Store(tmp_path / "c"), "image")[0].kinds(held_out("text"))[None]
    assert len(unlike) > 10
    assert set(unlike) <= set(found.report.answered.exactly)
    assert recall(tmp_path / "c", held_out("text")[unlike])[0] == 1.0
    assert recall(tmp_path / "c", held_out("text"))[0] > 0.95


def test_vectors_that_stay_on_disk_give_the_same_answer(made, indexed):
    in_memory = pairdex.open(made / "c").nearest(held_out("text"), 10)
    least = 250 * 10**6
    report = pairdex.index(indexed, memory=least, size="fast")
    assert not report.on_disk  # all of it fits
    index, points = find_index(Store(indexed), "image")
    blocks = Store(indexed).vectors("image").blocks
    on_disk = InvertedIndex(index.file, blocks, on_disk=True)
    plan = on_disk.plan(points, held_out("text"), 10, 0.95)
    np.testing.assert_array_equal(on_disk.search(held_out("text"), 10, plan).ids, in_memory.ids)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_promised_recall_holds_on_held_out_queries(made, kind):
    """The promise is a lower bound at 95 %, and 300 queries have a sampling error of their own."""
    queries = held_out(kind)
    for asked in (0.8, 0.9, 0.95, 0.97):
        found = pairdex.open(made / "c").nearest(queries, 10, recall=asked)
        if found.report.exact:
            continue
        answered = found.report.answered
        assert answered.asked == asked
        assert found.report.recall > answered.promised >= asked
        true = pairdex.open(made / "c").nearest(queries, 10, exact=True).ids
        hits = np.array([np.isin(a, b).mean() for a, b in zip(found.ids, true, strict=True)])
        assert hits.mean() + 2 * hits.std() / len(hits) ** 0.5 >= asked


def test_operating_points_without_bounds_are_read_and_promise_what_was_measured(indexed):
    path = ivf_path(indexed, "image").with_name("ivf.json")
    content = json.loads(path.read_bytes())
    del content["build_seconds"], content["checksum"]
    for by_k in content["efforts"].values():
        for efforts in by_k.values():
            for effort in efforts:
                del effort["low"], effort["queries"]
    path.write_bytes(sealed(content))
    found = pairdex.open(indexed).nearest(held_out("image"), 10)
    assert not found.report.exact
    assert found.report.answered.promised == found.report.recall
    assert found.report.answered.build_seconds is None


def test_the_build_time_is_recorded_and_kept_when_only_the_target_changes(indexed):
    first = find_index(Store(indexed), "image")[1].build_seconds
    assert first > 0
    assert pairdex.index(indexed, recall=0.9).how == "unchanged"
    assert find_index(Store(indexed), "image")[1].build_seconds == first


def test_result_files_name_what_really_answered(indexed, tmp_path):
    """A filter that excludes near rows leaves queries to the exact search; each of them is marked."""
    vectors = held_out("image")
    np.save(tmp_path / "q.npy", vectors)
    opened = pairdex.open(indexed)
    params = set()
    for recall in (0.8, 0.95):
        search_file(opened, tmp_path / "q.npy", recall=recall, out=tmp_path / "r.h5")
        with h5py.File(tmp_path / "r.h5") as file:
            facts = file["knns"].attrs
            assert (file.attrs["algo"], facts["answered_by"]) == ("pairdex ivf", "ivf")
            assert facts["recall_promised"] >= facts["recall_asked"] == recall
            assert facts["recall_queries"] > 100
            assert file.attrs["buildtime"] > 0
            params.add(file.attrs["params"])
    assert len(params) == 2
    found = search_file(opened, tmp_path / "q.npy", where="nearness > 20000", out=tmp_path / "r.h5")
    exactly = found.report.answered.exactly
    assert 0 < len(exactly) < len(vectors)
    with h5py.File(tmp_path / "r.h5") as file:
        assert file.attrs["algo"] == "pairdex ivf + exact"
        by = file["answered_by"][()]
    assert np.flatnonzero(by == b"exact").tolist() == list(exactly)
    assert set(by) == {b"ivf", b"exact"}


def test_bench_never_writes_exact_answers_down_as_those_of_the_index(
    indexed, tmp_path, monkeypatch
):
    """Here the exact search is taken to be cheaper for many queries, but not for one."""
    cheap, dear = IndexCost(1, 0, 0), IndexCost(1e9, 0, 0)
    exact = ExactCost(1e3, 0, 0, 0, 0)
    one, two = (BatchCosts(n, index, index, exact, exact) for n, index in ((1, cheap), (2, dear)))
    monkeypatch.setattr(Searcher, "costs", lambda *_: Costs("here", (one, two)))
    np.save(tmp_path / "q.npy", held_out("image"))
    found = pairdex.bench(indexed, tmp_path / "q.npy", repeat=1, out=tmp_path / "out")
    names = [run.file.rpartition("/")[2] for run in found.evaluation.runs]
    assert names[0] == "exact.h5"
    assert "exact-at-0.9.h5" in names
    for run, single, name in zip(found.evaluation.runs, found.single, names, strict=True):
        assert (run.algo.partition(",")[0], run.answered_by) == ("pairdex exact", "exact")
        assert list(single.answered_by) == ["ivf" if "-at-" in name else "exact"]
    again = pairdex.evaluate(tmp_path / "out", tmp_path / "out/gold.h5")
    assert {run.answered_by for run in again.runs} == {"exact"}


def test_bench_says_that_the_index_answered(indexed, tmp_path):
    np.save(tmp_path / "q.npy", held_out("image"))
    pairdex.gold(indexed, tmp_path / "q.npy", tmp_path / "given.h5", k=20)
    found = pairdex.bench(
        indexed, tmp_path / "q.npy", gold=tmp_path / "given.h5", repeat=1, out=tmp_path / "out"
    )
    by = {run.file.rpartition("/")[2]: run.answered_by for run in found.evaluation.runs}
    assert by["ivf-0.9.h5"] == "ivf"
    assert (tmp_path / "out/gold.h5").read_bytes() == (tmp_path / "given.h5").read_bytes()


def test_wrong_values_are_refused(indexed):
    with pytest.raises(MissingFile, match="nowhere"):
        pairdex.index(indexed / "nowhere")
    with pytest.raises(InvalidArgument, match=r"recall is 1\.5, expected 0\.5 to 0\.999"):
        pairdex.index(indexed, recall=1.5)
    with pytest.raises(InvalidArgument, match="nlist is 0, expected 1 to"):
        pairdex.index(indexed, nlist=0)
    with pytest.raises(
        InvalidArgument,
        match=r"an index of 24,000 rows needs at least [0-9,]+ bytes of memory, got",
    ):
        pairdex.index(indexed, memory=10**6)
    with pytest.raises(InvalidArgument, match=r"expected 0\.5 to 0\.999"):
        pairdex.open(indexed).nearest(held_out("image"), recall=0.1)


def test_the_command_prints_what_was_measured(indexed, run):
    done = run("index", indexed, "--recall", "0.9", "--json")
    assert done.status == 0
    said = json.loads(done.out)
    assert {"rows", "bytes", "seconds", "recall", "qps"} <= said.keys()
    assert said["rows"] == ROWS
    assert min(said["recall"]["image"], said["recall"]["text"]) >= 0.9
    assert said["qps"] > 0
    done = run("search", indexed, "--like", "3", "--json")
    found = json.loads(done.out)
    assert (found["exact"], found["by"]) == (False, "ivf")
    assert found["recall"] >= found["recall_promised"] >= 0.9
    assert json.loads(run("search", indexed, "--like", "3", "--exact", "--json").out)["exact"]
    assert run("index", indexed, "--memory", "lots").status == 2
    assert "4GB" in run("index", indexed, "--memory", "lots").err


def test_info_and_bench_report_the_index(indexed, run):
    indexes = json.loads(run("info", indexed, "--json").out)["indexes"]
    assert [one["kind"] for one in indexes if one["on"] == "image"][-1] == "ivf"


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
def test_real_vectors_are_found_by_images_and_texts(tmp_path):
    images = np.load(DATA / "clip_b32_images.npy")
    texts = np.load(DATA / "clip_b32_texts.npy")
    order = np.random.default_rng(0).permutation(len(images))
    rows, queries = images[order[500:]], images[order[:500]].astype(np.float32)
    paired = texts[500:][np.arange(len(rows)) % (len(texts) - 500)]
    save_part(tmp_path / "parts", 0, rows, paired, laion_columns(0, len(rows)))
    pairdex.build(tmp_path / "parts", tmp_path / "c")
    pairdex.index(tmp_path / "c")
    for asked in (queries, texts[:500].astype(np.float32)):
        opened = pairdex.open(tmp_path / "c")
        index, points = opened.index()
        plan = index.plan(points, asked, 10, 0.95)
        found, true = index.search(asked, 10, plan), opened.nearest(asked, 10, exact=True)
        assert np.mean(found.distances <= true.distances[:, 9:] + 1e-9) >= 0.93


def test_the_generated_rows_have_their_stated_dimension():
    assert image_and_text_rows(3, 0)[0].shape == (3, DIM)
