"""Pairs within a distance: exactly those of brute force, in one collection or between two."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.curate import pairs as pairs_module
from pairdex.errors import InvalidArgument, InvalidPredicate, Mismatch, WriteFailed
from pairdex.join import coded_rows, near_pairs, sorted_pairs
from pairdex.knn import cosine


def rows_near_each_other(n, dim, seed):
    """Random rows around fewer centres, of several lengths, some of them copies or multiples."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n // 4 + 1, dim))
    rows = centres[rng.integers(0, len(centres), n)]
    rows += rng.standard_normal((n, dim)) * rng.choice([0.001, 0.1, 0.3, 1.0], (n, 1))
    rows *= rng.choice([0.01, 1, 30], (n, 1))
    rows[n // 2 :: 5] = rows[: len(rows[n // 2 :: 5])]
    rows[n // 2 :: 9] = rows[: len(rows[n // 2 :: 9])] * 2
    return rows.astype(np.float16)


def near(rows, queries, within):
    """{(row, query): distance}, by the certified search."""
    found = cosine.nearest([rows], queries.astype(np.float32), len(rows), within=within)
    query, place = np.nonzero(found.ids >= 0)
    ids, distances = found.ids[query, place], found.distances[query, place]
    return {(int(i), int(q)): float(d) for i, q, d in zip(ids, query, distances, strict=True)}


def near_in(rows, within):
    return {pair: d for pair, d in near(rows, rows, within).items() if pair[0] < pair[1]}


@pytest.fixture
def collect(write_part, tmp_path):
    """A function that builds a collection of these rows, in parts of 90."""

    def make(rows, name="c"):
        for number, first in enumerate(range(0, len(rows), 90)):
            ids = range(first, min(first + 90, len(rows)))
            columns = {"url": [f"u{i}" for i in ids], "width": [i % 7 for i in ids]}
            write_part(
                tmp_path / f"{name}-parts", number, rows[ids.start : ids.stop], None, columns
            )
        pairdex.build(tmp_path / f"{name}-parts", tmp_path / name)
        return tmp_path / name

    return make


def read(path):
    table = pq.read_table(path)
    ids, others = table["id"].to_pylist(), table["other_id"].to_pylist()
    assert list(zip(ids, others, strict=True)) == sorted(set(zip(ids, others, strict=True)))
    return dict(zip(zip(ids, others, strict=True), table["distance"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("dim", "within"),
    [
        *[(16, 0.0), (16, 1.0), (63, 0.06), (64, 0.5), (65, 0.06), (200, 0.06), (256, 1.0)],
        *[(257, 0.06), (512, 0.0), (512, 0.06), (512, 0.5), (768, 1.0), (2048, 0.06)],
    ],
)
def test_all_pairs_are_those_of_the_certified_search(collect, tmp_path, dim, within):
    rows = rows_near_each_other(200, dim, seed=dim)
    found = pairdex.pairs(collect(rows), tmp_path / "p.parquet", within=within)
    expected = near_in(rows, within)
    assert read(tmp_path / "p.parquet") == expected  # the distances bit for bit
    assert (found.pairs, found.rows, found.other_rows) == (len(expected), 200, None)
    assert len(expected) > 0


def test_two_collections_are_compared_row_by_row(collect, tmp_path):
    rows = rows_near_each_other(150, 100, seed=1)
    others = np.concatenate([rows[:20], rows_near_each_other(200, 100, seed=1)])
    found = pairdex.pairs(
        collect(rows), tmp_path / "p.parquet", within=0.2, against=collect(others, "other")
    )
    expected = near(rows, others, 0.2)
    assert read(tmp_path / "p.parquet") == expected
    assert (found.pairs, found.rows, found.other_rows) == (len(expected), 150, 220)
    assert (0, 0) in expected


def test_filters_and_removals_leave_rows_out(collect, tmp_path):
    rows = rows_near_each_other(210, 32, seed=2)
    collection, other = collect(rows), collect(rows[:120], "other")
    pairdex.remove(collection, ids=[3, 10, 200], reason="takedown")
    found = pairdex.pairs(collection, tmp_path / "p.parquet", within=0.3, where="width < 4")
    keep = {i for i in range(210) if i % 7 < 4 and i not in (3, 10, 200)}
    expected = {(a, b): d for (a, b), d in near_in(rows, 0.3).items() if a in keep and b in keep}
    assert read(tmp_path / "p.parquet") == expected
    assert found.rows == len(keep)
    found = pairdex.pairs(
        collection, tmp_path / "q.parquet", within=0.3, against=other, against_where="id < 50"
    )
    expected = {
        (a, b): d for (a, b), d in near(rows, rows[:50], 0.3).items() if a not in (3, 10, 200)
    }
    assert read(tmp_path / "q.parquet") == expected
    assert found.other_rows == 50


@pytest.mark.parametrize("limit", [1, 10, 1000])
def test_cuts_change_nothing(collect, tmp_path, monkeypatch, limit):
    rows = rows_near_each_other(300, 80, seed=3)
    rows[100:140] = rows[100]
    collection = collect(rows)
    pairdex.pairs(collection, tmp_path / "whole.parquet", within=0.1)
    monkeypatch.setattr(near_pairs.Join.pairs, "__kwdefaults__", {"limit": limit})
    monkeypatch.setattr(near_pairs, "_X_LISTS", 3)
    monkeypatch.setattr(near_pairs, "_Y_ROWS", 29)
    monkeypatch.setattr(coded_rows, "_CHUNK_ROWS", 13)
    monkeypatch.setattr(sorted_pairs, "_FILES", 3)
    monkeypatch.setattr(sorted_pairs, "_SORT_PAIRS", 20)
    pairdex.pairs(collection, tmp_path / "cut.parquet", within=0.1)
    assert read(tmp_path / "cut.parquet") == read(tmp_path / "whole.parquet")


@pytest.mark.parametrize("name", ["cnclip_b16_images", "clip_b32_images"])
@pytest.mark.parametrize("within", [0.01, 0.06, 0.12])
def test_real_vectors_give_the_pairs_of_brute_force(real_data, collect, tmp_path, name, within):
    rows = np.load(real_data / f"{name}.npy")[:3000]
    pairdex.pairs(collect(rows), tmp_path / "p.parquet", within=within)
    assert read(tmp_path / "p.parquet") == near_in(rows, within)


def test_rows_on_both_sides_of_the_limit_are_told_apart(collect, tmp_path):
    """Pairs whose distance is the limit, or differs from it in the last bits."""
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((40, 128)).astype(np.float16)
    rows = np.concatenate([rows, (rows + rng.standard_normal((40, 128)) * 0.3).astype(np.float16)])
    limits = sorted(near_in(rows, 0.1).values())[10:14]
    collection = collect(rows)
    for number, limit in enumerate([*limits, np.nextafter(limits[0], 0)]):
        out = tmp_path / f"{number}.parquet"
        pairdex.pairs(collection, out, within=limit)
        assert read(out) == {k: d for k, d in near_in(rows, 0.1).items() if d <= limit}


# --- going on after a break

KILLED = """
import os, signal, sys
at, adds = int(sys.argv.pop(1)), 0
from pairdex.curate import pairs
from pairdex.join import near_pairs, sorted_pairs
pairs._SECONDS_BETWEEN_SAVES = 0
near_pairs._X_LISTS = near_pairs._Y_ROWS = 8
real = sorted_pairs.PairFiles.add
def add(self, found):
    global adds
    real(self, found)
    adds += 1
    if adds == at:
        os.kill(os.getpid(), signal.SIGKILL)
sorted_pairs.PairFiles.add = add
from pairdex.cli import main
main()
"""


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(
    collect, tmp_path, monkeypatch
):
    rows = rows_near_each_other(200, 48, seed=5)
    collection = collect(rows)
    monkeypatch.setattr(near_pairs, "_X_LISTS", 8)
    monkeypatch.setattr(near_pairs, "_Y_ROWS", 8)
    pairdex.pairs(collection, tmp_path / "whole.parquet", within=0.1)
    out = tmp_path / "p.parquet"
    command = ["pairs", collection, "--within", "0.1", "--out", out]
    for at in (10, 8):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(at), *map(str, command)], check=False
        )
        assert ended.returncode == -signal.SIGKILL
        assert not out.exists()
    seen = []
    pairdex.pairs(collection, out, within=0.1, progress=lambda *step: seen.append(step))
    assert not [name for name, *_ in seen if name == "coding"]
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not list(tmp_path.glob(".p.parquet.*"))


def test_what_another_call_left_is_not_used(collect, tmp_path, monkeypatch):
    rows = rows_near_each_other(100, 48, seed=6)
    collection, out = collect(rows), tmp_path / "p.parquet"
    monkeypatch.setattr(pairs_module, "_write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pairdex.pairs(collection, out, within=0.5)
    monkeypatch.undo()
    pairdex.pairs(collection, out, within=0.05)
    assert read(out) == near_in(rows, 0.05)


def test_rows_removed_meanwhile_are_reported(collect, tmp_path):
    collection = collect(rows_near_each_other(100, 48, seed=7))

    def steps(name, done, total):
        if name == "comparing":
            pairdex.remove(collection, ids=[1], reason="takedown")

    with pytest.raises(Mismatch, match=r"rows were removed from .* meanwhile"):
        pairdex.pairs(collection, tmp_path / "p.parquet", within=0.1, progress=steps)
    pairdex.pairs(collection, tmp_path / "p.parquet", within=0.1)
    assert 1 not in {i for pair in read(tmp_path / "p.parquet") for i in pair}


def test_a_full_disk_is_reported(collect, tmp_path, monkeypatch):
    collection = collect(rows_near_each_other(100, 48, seed=7))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WriteFailed, match=r"cannot write .*: No space left on device; free space"):
        pairdex.pairs(collection, tmp_path / "p.parquet", within=0.1)
    monkeypatch.undo()
    assert pairdex.pairs(collection, tmp_path / "p.parquet", within=0.1).pairs > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"within": -0.1}, InvalidArgument, "within is -0.1, expected a distance of 0 to 1.0"),
        ({"within": float("nan")}, InvalidArgument, "within is nan"),
        ({"out": "p.csv"}, InvalidArgument, "expected a name that ends in .parquet"),
        ({"on": "text"}, InvalidArgument, "has no 'text' vectors"),
        ({"where": "nope > 1"}, InvalidPredicate, "nope"),
        ({"against_where": "id > 1"}, InvalidArgument, "name it with against"),
        ({"against": "other"}, Mismatch, "has dimension 48, .* has 16"),
    ],
)
def test_what_cannot_be_done_is_reported_and_leaves_nothing(
    collect, tmp_path, options, error, message
):
    collection = collect(rows_near_each_other(60, 48, seed=8))
    collect(rows_near_each_other(60, 16, seed=8), "other")
    arguments = {"out": "p.parquet", "within": 0.1, **options}
    for name in ("out", "against"):
        if name in arguments:
            arguments[name] = tmp_path / arguments[name]
    with pytest.raises(error, match=message):
        pairdex.pairs(collection, **arguments)
    assert not list(tmp_path.glob("*p.parquet*"))


def test_no_pairs_are_an_empty_table(collect, tmp_path):
    found = pairdex.pairs(collect(np.eye(48, dtype=np.float16)), tmp_path / "p.parquet", within=0.1)
    assert (found.pairs, found.rows) == (0, 48)
    assert len(pq.read_table(tmp_path / "p.parquet")) == 0
    found = pairdex.pairs(tmp_path / "c", tmp_path / "p.parquet", within=0.1, where="id < 0")
    assert (found.pairs, found.rows) == (0, 0)


def test_the_command_says_what_it_found(run, collect, tmp_path):
    rows = rows_near_each_other(100, 48, seed=9)
    collection, out = collect(rows), tmp_path / "p.parquet"
    shown = run("pairs", collection, "--within", "0.1", "--out", out, "--json").json
    assert shown["pairs"] == len(near_in(rows, 0.1))
    assert (shown["rows"], shown["other_rows"], shown["within"]) == (100, None, 0.1)
    assert shown["seconds"] > 0
    table = pq.read_table(out)
    assert table.column_names == ["id", "other_id", "distance"]
    facts = json.loads(table.schema.metadata[b"pairdex"])
    assert (facts["within"], facts["sides"][0]["collection"]) == (0.1, "c")
    words = run("pairs", collection, "--within", "0.1", "--out", out, "--against", collection).out
    assert "other rows" in words
