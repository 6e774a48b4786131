"""Leaderboards rank the fastest runs at each recall, in three formats that stay valid whatever names hold."""

import csv

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument
from pairdex.files.result_files import write_results

IDS = np.arange(12).reshape(2, 6)


@pytest.fixture
def results(tmp_path):
    """A gold standard and four runs: two of a_b & c, a slower exact one, one that is not good enough."""
    with h5py.File(tmp_path / "gold.h5", "w") as file:
        file["knns"], file["dists"] = IDS + 1, np.tile(np.linspace(0.1, 0.6, 6), (2, 1))
    bad = np.roll(IDS, 1, axis=0)
    runs = [("a_b & c", IDS, 0.1, "x=1|2"), ("a_b & c", IDS, 0.001, "x=2"), ("slow", IDS, 1.0, "")]
    for number, (algo, ids, seconds, params) in enumerate([*runs, ("bad", bad, 0.0001, "")]):
        facts = {
            "algo": algo,
            "data": "d",
            "querytime": seconds,
            "params": params,
            "buildtime": 3.0,
        }
        write_results(
            tmp_path / f"r{number}.h5", ids, np.zeros(ids.shape, np.float32),
            attributes=facts, about={"peak_memory_bytes": 1_500_000_000},
        )  # fmt: skip
    return tmp_path


def board(results, suffix):
    path = results / f"board{suffix}"
    pairdex.evaluate(results, results / "gold.h5", k=5, leaderboard=path)
    return path.read_text()


def test_the_csv_ranks_by_speed_and_lists_what_is_not_reached_last(results):
    rows = list(csv.DictReader(board(results, ".csv").splitlines()))
    assert [(row["rank"], row["algorithm"]) for row in rows] == [
        ("1", "a_b & c"), ("2", "slow"), ("", "bad"),
    ]  # fmt: skip
    first = rows[0]
    assert first["leaderboard"] == "d · recall@5 ≥ 0.9"
    assert (first["QPS"], first["build s"], first["memory MB"]) == ("2000.0", "3.0", "1500")
    assert (first["recall"], first["params"]) == ("1.0000", "x=2")
    assert rows[2]["recall"] == "not reached"


def test_markdown_keeps_its_columns(results):
    (results / "r1.h5").unlink()
    lines = board(results, ".md").splitlines()
    assert lines[0] == "### d · recall@5 ≥ 0.9"
    assert lines[4] == "| 1 | a_b & c | 1.0000 | 20.0 | 3.0 | 1,500 | x=1\\|2 |"
    assert all(line.replace("\\|", "").count("|") == 8 for line in lines[2:7])


def test_latex_escapes_names(results):
    text = board(results, ".tex")
    assert r"1 & a\_b \& c & 1.0000 & 2,000.0 & 3.0 & 1,500 & x=2 \\" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1


def test_the_command_writes_several_and_other_names_are_refused_first(results, run):
    out = run(
        "evaluate", results, results / "gold.h5", "-k", 5,
        "--leaderboard", results / "a.md", "--leaderboard", results / "a.csv",
    )  # fmt: skip
    assert out.status == 0, out.err
    assert f"written to {results / 'a.md'}" in out.out
    with pytest.raises(InvalidArgument, match=r"ends in \.md, \.tex, \.csv"):
        pairdex.evaluate(results, results / "gold.h5", k=5, leaderboard=results / "a.txt")
