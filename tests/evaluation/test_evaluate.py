"""Evaluations of files as SISAP's participants wrote them from 2023 to 2026, and of our own."""

import csv
import json

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile
from pairdex.files.result_files import write_results

# Two queries, three neighbours. The result finds 2 of 3, then 3 of 3: recall@3 is 5/6; of the first
# two it finds 1 and 2: recall@2 is 3/4.
GOLD_IDS = np.array([[4, 1, 7], [2, 8, 5]])
GOLD_DISTANCES = np.array([[0.1, 0.2, 0.2], [0.0, 0.1, 0.3]], np.float32)
FOUND = np.array([[4, 7, 9], [8, 2, 5]])
NEAR = np.array([[0.1, 0.2, 0.4], [0.1, 0.1, 0.3]], np.float32)


def write_gold(path, **attributes):
    with h5py.File(path, "w") as file:
        file["knns"], file["dists"] = (GOLD_IDS + 1).astype(np.int32), GOLD_DISTANCES
        file.attrs.update(attributes)
    return path


@pytest.fixture
def gold(tmp_path):
    return write_gold(tmp_path / "gold.h5")


def as_2023_python(path, knns=FOUND + 1, **attributes):
    """Tables with attributes, row-major."""
    facts = {
        "data": "clip768", "size": "100K", "algo": "forest", "buildtime": 12.5,
        "querytime": 0.25, "params": "trees=8",
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["knns"], file["dists"] = knns.astype(np.uint32), NEAR[:, : knns.shape[1]]
        file.attrs.update(facts | attributes)
    return path


def as_2024_julia(path):
    """Top-level scalars as JLD2 writes them, and its group of types; tables are column-major there."""
    with h5py.File(path, "w") as file:
        file["knns"], file["dists"] = (FOUND + 1).astype(np.int64), NEAR
        for name, value in (
            ("data", "clip768"),
            ("size", "100K"),
            ("algo", "SearchGraph"),
            ("params", "r=1"),
        ):
            file.create_dataset(name, data=value, dtype=h5py.string_dtype())
        file["buildtime"], file["querytime"], file["optimtime"] = 100.0, 0.5, 3.25
        file.create_group("_types")["00000001"] = np.zeros(2)
    return path


def as_2025(path):
    with h5py.File(path, "w") as file:
        file["knns"], file["dists"] = (FOUND + 1).astype(np.int32), NEAR
        file.attrs.update(
            {"algo": "x", "task": "task2", "dataset": "gooaq", "buildtime": np.float32(1.5),
             "querytime": np.array([0.1]), "optimtime": 2, "params": "p"}
        )  # fmt: skip
    return path


def test_a_result_of_2023_is_counted_as_by_hand(tmp_path, gold):
    run = pairdex.evaluate([as_2023_python(tmp_path / "r.h5")], gold, k=3).runs[0]
    assert run.recall == 5 / 6
    assert run.recall_ties == 5 / 6
    assert run.qps == 2 / 0.25
    assert (run.algo, run.params, run.data, run.size) == ("forest", "trees=8", "clip768", "100K")
    assert (run.n, run.k, run.buildtime, run.querytime) == (2, 3, 12.5, 0.25)
    at_2 = pairdex.evaluate([tmp_path / "r.h5"], gold, k=2).runs[0]
    assert at_2.recall == 3 / 4
    assert at_2.recall_ties == 1.0  # 7 is as far from the first query as 1


def test_results_as_julia_writes_them_are_read(tmp_path, gold):
    run = pairdex.evaluate([as_2024_julia(tmp_path / "r.h5")], gold, k=3).runs[0]
    assert (run.algo, run.params, run.size) == ("SearchGraph", "r=1", "100K")
    assert (run.recall, run.qps, run.optimtime) == (5 / 6, 4.0, 3.25)


def test_results_of_2025_say_their_task_and_dataset(tmp_path, gold):
    run = pairdex.evaluate([as_2025(tmp_path / "r.h5")], gold, k=3).runs[0]
    assert (run.task, run.dataset, run.qps, run.buildtime) == ("task2", "gooaq", 20.0, 1.5)


def test_a_row_major_matrix_that_julia_reads_as_columns_is_turned(tmp_path, gold):
    path = tmp_path / "r.h5"
    with h5py.File(path, "w") as file:
        file["knns"] = (FOUND + 1).T
    run = pairdex.evaluate([path], gold, k=3).runs[0]
    assert run.recall == 5 / 6
    assert "transposed" in run.notes[0]
    assert run.qps is None


def test_our_own_results_are_read_with_missing_neighbours(tmp_path):
    gold = write_gold(tmp_path / "gold.h5", rows=10)
    ids = np.array([[4, -1, -1], [8, 2, 0]])
    write_results(tmp_path / "r.h5", ids, NEAR, attributes={"algo": "ours", "querytime": 1.0})
    run = pairdex.evaluate([tmp_path / "r.h5"], gold, k=3).runs[0]
    assert run.recall == 3 / 6
    assert "fewer than 3 neighbours for 1 query" in run.notes


def test_fewer_neighbours_than_k_count_as_missing_and_more_are_cut(tmp_path, gold):
    run = pairdex.evaluate([as_2023_python(tmp_path / "r.h5", FOUND[:, :1] + 1)], gold, k=3).runs[0]
    assert run.recall == 2 / 6
    assert "it has 1 neighbour of each query" in run.notes[-1]


def test_folders_are_searched_and_what_is_no_result_is_passed_over(tmp_path, gold):
    as_2023_python(tmp_path / "results/clip768/100K/b.h5", algo="b")
    as_2023_python(tmp_path / "results/clip768/100K/a.h5", algo="a")
    write_gold(tmp_path / "results/gold.h5")
    with h5py.File(tmp_path / "results/emb.h5", "w") as file:
        file["emb"] = np.zeros((2, 2))
    found = pairdex.evaluate([tmp_path / "results"], gold, k=3)
    assert [run.algo for run in found.runs] == ["a", "b"]
    assert [path.rpartition("/")[2] for path in found.passed_over] == ["emb.h5", "gold.h5"]


def test_files_of_other_kinds_in_a_folder_are_passed_over_and_said(tmp_path, gold, run):
    as_2023_python(tmp_path / "r/a.h5")
    (tmp_path / "r/._a.h5").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    (tmp_path / "r/text.h5").write_text("not HDF5")
    whole = (tmp_path / "r/a.h5").read_bytes()
    (tmp_path / "r/half.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "r/folder.h5").mkdir()
    found = pairdex.evaluate(tmp_path / "r", gold, k=3)
    assert [run.algo for run in found.runs] == ["forest"]
    why = {path.rpartition("/")[2]: said for path, said in found.passed_over.items()}
    assert sorted(why) == ["._a.h5", "half.h5", "text.h5"]
    assert why["._a.h5"] == "macOS's notes on another file"
    assert "half.h5" in why["half.h5"]
    assert "text.h5: skipped: " in run("evaluate", tmp_path / "r", gold, "-k", 3).out


def test_results_of_other_queries_in_a_folder_are_passed_over_unless_all_are(tmp_path):
    gold = write_gold(tmp_path / "gold.h5", queries_checksum="aa")
    as_2023_python(tmp_path / "r/a.h5", queries_checksum="aa")
    other = as_2023_python(tmp_path / "r/b.h5", queries_checksum="bb")
    found = pairdex.evaluate(tmp_path / "r", gold, k=3)
    assert len(found.runs) == 1
    assert "not of the same queries" in found.passed_over[str(other)]
    (tmp_path / "r/a.h5").unlink()
    with pytest.raises(Mismatch, match="not of the same queries"):
        pairdex.evaluate(tmp_path / "r", gold, k=3)


def test_a_speed_as_qps_is_read_and_said(tmp_path, gold):
    path = as_2023_python(tmp_path / "r.h5", qps=400.0)
    with h5py.File(path, "r+") as file:
        del file.attrs["querytime"], file.attrs["algo"]
    run = pairdex.evaluate(tmp_path, gold, k=3).runs[0]
    assert (run.qps, run.querytime) == (400.0, 0.005)
    assert "it has no querytime: the speed is its qps" in run.notes
    as_2023_python(path, qps=400.0)
    run = pairdex.evaluate(path, gold, k=3).runs[0]
    assert run.qps == 8.0
    assert any("querytime counts" in note for note in run.notes)


def test_recall_is_told_by_kind_of_queries(tmp_path):
    gold = write_gold(tmp_path / "gold.h5")
    with h5py.File(gold, "a") as file:
        file["kind"] = ["image", "text"]
    found = pairdex.evaluate([as_2023_python(tmp_path / "r.h5")], gold, k=3, thresholds=[0.9])
    assert found.runs[0].recall_by_kind == {"image": 2 / 3, "text": 1.0}
    assert found.runs[0].queries == "mixed"
    assert [(point.kind, point.run is None) for point in found.points] == [
        ("image", True),
        ("text", False),
    ]


def test_each_result_belongs_to_the_gold_standard_of_its_queries(tmp_path):
    images = write_gold(tmp_path / "images.h5", queries_checksum="aa", kind="image")
    texts = write_gold(tmp_path / "texts.h5", queries_checksum="bb", kind="text")
    of_texts = as_2023_python(tmp_path / "t.h5", queries_checksum="bb")
    of_images = as_2023_python(tmp_path / "i.h5", queries_checksum="aa")
    found = pairdex.evaluate([of_texts, of_images], [images, texts], k=3)
    assert [run.queries for run in found.runs] == ["text", "image"]
    with pytest.raises(Mismatch, match="fits more than one gold standard"):
        pairdex.evaluate([as_2023_python(tmp_path / "u.h5")], [images, texts], k=3)


def test_a_gold_standard_of_another_collection_or_other_queries_is_refused(tmp_path):
    gold = write_gold(tmp_path / "gold.h5", collection_checksum="aa", collection="ten")
    other = as_2023_python(tmp_path / "r.h5", collection_checksum="bb", data="hundred")
    with pytest.raises(Mismatch, match=r"are not of the same collection \(hundred, ten\)"):
        pairdex.evaluate([other], gold, k=3)
    gold = write_gold(tmp_path / "gold.h5", queries_checksum="aa")
    other = as_2023_python(tmp_path / "r.h5", queries_checksum="bb")
    with pytest.raises(Mismatch, match="are not of the same queries"):
        pairdex.evaluate([other], gold, k=3)


def test_that_a_file_does_not_say_its_collection_is_said_not_refused(tmp_path, gold):
    run = pairdex.evaluate([as_2023_python(tmp_path / "r.h5")], gold, k=3).runs[0]
    assert "taken to be of the gold standard's collection: one of them does not say" in run.notes


def test_times_that_are_none_give_no_speed(tmp_path, gold):
    for value in (0.0, -1.0, float("nan"), "unknown"):
        path = as_2023_python(tmp_path / "r.h5", querytime=value)
        assert pairdex.evaluate([path], gold, k=3).runs[0].qps is None


def test_the_front_is_told_among_runs_of_one_task(tmp_path, gold):
    fast = as_2023_python(tmp_path / "fast.h5", FOUND[:, :1] + 1, querytime=0.1)
    good = as_2023_python(tmp_path / "good.h5", querytime=0.2)
    slow = as_2023_python(tmp_path / "slow.h5", querytime=0.3)
    other = as_2023_python(tmp_path / "other.h5", querytime=0.9, size="300K")
    found = pairdex.evaluate([fast, good, slow, other], gold, k=3)
    assert [bool(front) for front in found.fronts] == [True, True, False, True]


def test_the_table_is_written_with_names_relative_to_it(tmp_path, gold):
    as_2023_python(tmp_path / "results/r.h5", algo='a "quoted", name')
    pairdex.evaluate([tmp_path / "results"], gold, k=3, csv=tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert rows[0]["file"] == "results/r.h5"
    assert rows[0]["algo"] == 'a "quoted", name'
    assert float(rows[0]["recall"]) == 5 / 6
    assert (rows[0]["task"], rows[0]["pareto"], rows[0]["qps"]) == ("", "1", "8.0")
    with pytest.raises(InvalidArgument, match=r"expected a name that ends in \.csv"):
        pairdex.evaluate([tmp_path / "results"], gold, k=3, csv=tmp_path / "runs.tsv")


def test_the_command_prints_runs_points_and_what_was_recognised(tmp_path, gold, run):
    as_2023_python(tmp_path / "r.h5")
    out = run("evaluate", tmp_path / "r.h5", gold, "-k", 3, "--thresholds", "0.5,0.9")
    assert out.status == 0, out.err
    assert "forest" in out.out
    assert "0.8333" in out.out
    assert "recall@3 ≥ 0.5" in out.out
    assert "no run reaches it" in out.out
    assert "note: " in out.out


def test_the_command_prints_one_json_object(tmp_path, gold, run):
    as_2023_python(tmp_path / "r.h5")
    out = run("evaluate", tmp_path / "r.h5", gold, "-k", 3, "--json")
    found = json.loads(out.out)
    assert found["runs"][0]["recall"] == 5 / 6
    assert {
        "recall", "k", "qps", "buildtime", "querytime", "algo", "params", "data", "size", "file",
        "queries", "pareto", "notes",
    } <= found["runs"][0].keys()  # fmt: skip
    assert found["operating_points"][0]["qps"] is None


def test_bad_input_ends_in_one_line_and_writes_nothing(tmp_path, gold, run):
    good = as_2023_python(tmp_path / "r.h5")
    table = tmp_path / "runs.csv"
    ask = ("evaluate", "--csv", table)
    assert "k is 10, " in run(*ask, good, gold).complaint
    assert "does not exist" in run(*ask, tmp_path / "absent.h5", gold, "-k", 3).complaint
    (tmp_path / "none").mkdir()
    assert "no result files" in run(*ask, tmp_path / "none", gold, "-k", 3).complaint
    wrong = run(*ask, good, gold, "-k", 3, "--thresholds", "high")
    assert wrong.status == 2
    assert "'high' is not a list of numbers like 0.8,0.9" in wrong.err
    assert "expected .png or .svg" in run(*ask, good, gold, "-k", 3, "--plot", "p.pdf").complaint
    broken = as_2023_python(tmp_path / "broken.h5", FOUND + 1)
    broken.write_bytes(broken.read_bytes()[:900])
    assert "broken.h5" in run(*ask, broken, gold, "-k", 3).complaint
    many = as_2023_python(tmp_path / "many.h5", np.ones((2, 2), int))
    with h5py.File(many, "a") as file:
        del file["knns"], file["dists"]
        file["knns"] = np.ones((5, 4), int)
    assert "of other queries" in run(*ask, many, gold, "-k", 3).complaint
    assert run("evaluate", good).status == 2
    assert not table.exists()


def test_errors_are_of_the_library_s_own_kinds(tmp_path, gold):
    with pytest.raises(MissingFile):
        pairdex.evaluate([tmp_path / "absent.h5"], gold, k=3)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "gold.h5").read_bytes()[:1500])
    with pytest.raises(DamagedFile):
        pairdex.evaluate([tmp_path / "cut.h5"], gold, k=3)


def test_from_queries_to_recall_by_the_commands(collection, run, tmp_path):
    queries, gold, found = tmp_path / "q.h5", tmp_path / "g.h5", tmp_path / "found.h5"
    steps = (
        ("queries", collection, "--out", queries, "-n", 20),
        ("gold", collection, queries, "--out", gold, "-k", 20),
        ("search", collection, "--vectors", queries, "-k", 10, "--out", found),
    )
    for step in steps:
        out = run(*step)
        assert out.status == 0, out.err
    out = run("evaluate", found, gold, "--json")
    one = out.json["runs"][0]
    assert (one["recall"], one["n"], one["k"], one["queries"]) == (1.0, 20, 10, "image")
    assert one["qps"] > 0
    assert one["notes"] == []
    (tmp_path / "ids.txt").write_text("0\n")
    assert run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "x").status == 0
    assert run(*steps[1]).status == 0
    assert "not of the same collection" in run("evaluate", found, gold).complaint


def test_a_plot_that_cannot_be_drawn_leaves_no_table_either(tmp_path, gold):
    path = as_2023_python(tmp_path / "r.h5", querytime=0.0)
    with pytest.raises(InvalidArgument, match="no run has a querytime"):
        pairdex.evaluate([path], gold, k=3, csv=tmp_path / "r.csv", plot=tmp_path / "r.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gold.h5", "r.h5"]
