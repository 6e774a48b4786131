"""Near-duplicates: exactly those of the definition, whatever the blocks, the codes and the interruptions."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.curate import copies as copies_module
from pairdex.curate import near_duplicates
from pairdex.curate.dedup import DedupRule
from pairdex.curate.dedup import make_dedup as dedup
from pairdex.errors import InvalidArgument, Mismatch, WriteFailed
from pairdex.join import coded_rows, near_pairs
from pairdex.knn import cosine
from pairdex.knn.distance import normalise
from pairdex.store.store import Store

DIM = 16


def rows_near_each_other(n, seed, groups=None):
    """Random rows around fewer centres, some moved only a little, some copies of others."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((groups or n // 3, DIM))
    rows = centres[rng.integers(0, len(centres), n)]
    rows += rng.standard_normal((n, DIM)) * rng.choice([0.001, 0.1, 0.3, 1.0], (n, 1))
    rows = rows.astype(np.float16)
    rows[n // 2 :: 5] = rows[: len(rows[n // 2 :: 5])]
    return rows


def twin(rows, order, threshold):
    """The definition, one row at a time: {dropped id: (kept id, distance)}."""
    wide, dropped, kept = rows.astype(np.float32), {}, []
    first_of = {}
    for i in order:
        same = first_of.setdefault(rows[i].tobytes(), i)
        if same != i:
            dropped[i] = dropped.get(same, (same, 0.0))
            continue
        ids = np.sort(np.array(kept, np.int64))
        found = cosine.nearest([rows[ids]], wide[i : i + 1], 1) if len(ids) else None
        if found is not None and found.distances[0, 0] <= threshold:
            dropped[i] = (int(ids[found.ids[0, 0]]), float(found.distances[0, 0]))
        else:
            kept.append(i)
    return dropped


@pytest.fixture
def collect(write_part, tmp_path):
    """A function that builds a collection of these rows, in parts of 70."""

    def make(rows, name="c", **columns):
        source = tmp_path / f"{name}-parts"
        for number, first in enumerate(range(0, len(rows), 70)):
            part = slice(first, first + 70)
            table = {
                "url": [f"u{i}" for i in range(len(rows))],
                **columns,
            }
            write_part(
                source, number, rows[part], None, {key: value[part] for key, value in table.items()}
            )
        pairdex.build(source, tmp_path / name)
        return tmp_path / name

    return make


def read_report(path):
    return {row["id"]: (row["kept_id"], row["distance"]) for row in pq.read_table(path).to_pylist()}


def kept_urls(collection):
    return Store(collection).take(np.arange(Store(collection).rows))["url"].to_pylist()


@pytest.mark.parametrize("threshold", [0.0, 0.005, 0.06, 0.3, 1.0])
def test_what_is_dropped_is_what_the_definition_drops(collect, tmp_path, threshold):
    rows = rows_near_each_other(300, seed=1)
    collection, report = collect(rows), tmp_path / "r.parquet"
    made = pairdex.dedup(collection, tmp_path / "d", threshold=threshold, report=report)
    expected = twin(rows, range(300), threshold)
    assert read_report(report) == expected
    assert pq.read_table(report)["id"].to_pylist() == sorted(expected)
    assert (made.rows, made.dropped) == (300 - len(expected), len(expected))
    sizes = np.bincount([kept for kept, _ in expected.values()], minlength=1)
    assert made.groups == np.count_nonzero(sizes) > 0
    assert made.largest_group == sizes.max() + 1
    assert kept_urls(tmp_path / "d") == [f"u{i}" for i in range(300) if i not in expected]


@pytest.mark.parametrize(("block", "pairs"), [(1, 1), (7, 2), (64, 3), (250, 1), (250, 50)])
@pytest.mark.parametrize("keep", ["first", "similar"])
def test_blocks_change_nothing(collect, tmp_path, monkeypatch, block, pairs, keep):
    similarity = np.round(np.random.default_rng(3).random(250), 2)
    collection = collect(
        rows_near_each_other(250, seed=2, groups=20), similarity=pa.array(similarity)
    )
    pairdex.dedup(collection, tmp_path / "d", keep=keep, report=tmp_path / "whole.parquet")
    monkeypatch.setattr(near_duplicates, "_MOST_BLOCK_ROWS", block)
    monkeypatch.setattr(near_duplicates, "_MOST_PAIRS", pairs)
    monkeypatch.setattr(near_duplicates, "_ROWS_AT_ONCE", 11)
    monkeypatch.setattr(coded_rows, "_CHUNK_ROWS", 13)
    monkeypatch.setattr(near_pairs, "_X_LISTS", 3)
    monkeypatch.setattr(near_pairs, "_Y_ROWS", 29)
    monkeypatch.setattr(copies_module, "_BLOCK_ROWS", block)
    monkeypatch.setattr(copies_module, "_BUCKET_ROWS", 10 * block)
    pairdex.dedup(collection, tmp_path / "e", keep=keep, report=tmp_path / "cut.parquet")
    assert (tmp_path / "cut.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_the_largest_or_the_most_similar_row_stays(collect, tmp_path):
    rows = rows_near_each_other(200, seed=3, groups=20)
    rng = np.random.default_rng(1)
    width, height = rng.integers(1, 9, 200).tolist(), rng.integers(1, 9, 200).tolist()
    width[5], height[6] = None, None
    similarity = np.round(rng.random(200), 2).tolist()
    similarity[7], similarity[8] = None, float("nan")
    collection = collect(
        rows,
        width=pa.array(width, pa.int32()),
        height=pa.array(height, pa.int32()),
        similarity=pa.array(similarity, pa.float64()),
    )
    area = [(w or 0) * (h or 0) if w and h else -1 for w, h in zip(width, height, strict=True)]
    value = [-1 if s is None or s != s else s for s in similarity]
    for keep, keys in (("largest", area), ("similar", value)):
        order = sorted(range(200), key=lambda i, keys=keys: (-keys[i], i))
        pairdex.dedup(collection, tmp_path / keep, keep=keep, report=tmp_path / "r.parquet")
        assert read_report(tmp_path / "r.parquet") == twin(rows, order, 0.06)


def test_removed_rows_take_no_part(collect, tmp_path):
    rows = np.repeat(rows_near_each_other(30, seed=4, groups=30), 4, axis=0)
    collection = collect(rows, similarity=pa.array(np.arange(120) / 120))
    gone = list(range(0, 120, 4))
    pairdex.remove(collection, ids=gone, reason="takedown")
    live = [i for i in range(120) if i % 4]
    for keep, order in (("first", live), ("similar", live[::-1])):
        pairdex.dedup(collection, tmp_path / keep, keep=keep, report=tmp_path / "r.parquet")
        expected = twin(rows, order, 0.06)
        assert read_report(tmp_path / "r.parquet") == expected
        assert not set(expected) & set(gone)
        assert kept_urls(tmp_path / keep) == [f"u{i}" for i in live if i not in expected]


def test_rows_of_one_hash_are_copies_only_if_their_bytes_are_the_same(
    collect, tmp_path, monkeypatch
):
    rows = rows_near_each_other(150, seed=5)
    collection = collect(rows)
    monkeypatch.setattr("xxhash.xxh3_64_intdigest", lambda data: bytes(data)[0] % 3)
    pairdex.dedup(collection, tmp_path / "d", threshold=0.0, report=tmp_path / "r.parquet")
    expected = twin(rows, range(150), 0.0)
    assert read_report(tmp_path / "r.parquet") == expected


def test_copies_are_compared_once(collect, tmp_path, monkeypatch):
    rows = np.tile(rows_near_each_other(10, seed=6, groups=10), (50, 1))
    collection = collect(rows)
    coded = []
    real = near_duplicates.open_or_code_rows
    monkeypatch.setattr(
        near_duplicates,
        "open_or_code_rows",
        lambda blocks, ids, *rest, **options: (
            coded.append(len(ids)) or real(blocks, ids, *rest, **options)
        ),
    )
    made = pairdex.dedup(collection, tmp_path / "d")
    assert sum(coded) <= 10
    assert made.largest_group >= 50


def test_rows_that_are_all_near_each_other_need_few_pairs(collect, tmp_path, monkeypatch):
    rng = np.random.default_rng(11)
    rows = np.ones((3000, DIM)) + rng.standard_normal((3000, DIM)) * 0.01
    collection = collect(rows.astype(np.float16))
    monkeypatch.setattr(near_duplicates, "_MOST_PAIRS", 10_000)
    held = []
    real = near_duplicates._Work._pairs
    monkeypatch.setattr(
        near_duplicates._Work,
        "_pairs",
        lambda self, slots: held.append(real(self, slots)) or held[-1],
    )
    made = pairdex.dedup(collection, tmp_path / "d")
    assert made.rows == 1
    assert sum(len(found[0]) for found in held if found is not None) <= 10_000


@pytest.mark.parametrize("name", ["cnclip_b16_images", "clip_b32_images"])
def test_real_vectors_are_deduplicated_as_by_brute_force(real_data, write_part, tmp_path, name):
    rows = np.load(real_data / f"{name}.npy")[:2000]
    write_part(tmp_path / "parts", 0, rows, None, {"url": [str(i) for i in range(len(rows))]})
    pairdex.build(tmp_path / "parts", tmp_path / "c")
    made = pairdex.dedup(tmp_path / "c", tmp_path / "d", report=tmp_path / "r.parquet")
    unit = normalise(rows)
    distances = 1 - unit @ unit.T
    kept = np.zeros(len(rows), bool)
    for i in range(len(rows)):
        kept[i] = not (distances[i] <= 0.06 + 1e-12)[kept].any()
    dropped = read_report(tmp_path / "r.parquet")
    assert sorted(dropped) == np.flatnonzero(~kept).tolist()
    assert made.rows == np.count_nonzero(kept) < len(rows)
    for i, (kept_id, distance) in dropped.items():
        assert distance == pytest.approx(distances[i, kept_id], abs=1e-12)
        assert distance <= 0.06
    among_kept = distances[np.ix_(kept, kept)]
    np.fill_diagonal(among_kept, 2)
    assert among_kept.min() > 0.06


# --- going on after a break

KILLED = """
import os, signal, sys
at, blocks = int(sys.argv.pop(1)), 0
from pairdex.curate import near_duplicates
near_duplicates._MOST_BLOCK_ROWS = 24
real = near_duplicates._Work._among_themselves
def decide(self, block):
    global blocks
    blocks += 1
    if blocks == at:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, block)
near_duplicates._Work._among_themselves = decide
from pairdex.cli import main
main()
"""


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(
    collect, tmp_path, tree, monkeypatch
):
    collection = collect(rows_near_each_other(250, seed=7, groups=40))
    pairdex.dedup(collection, tmp_path / "whole" / "d", report=tmp_path / "whole.parquet")
    new, report = tmp_path / "d", tmp_path / "r.parquet"
    command = ["dedup", collection, new, "--report", report]
    for at in (4, 3):  # blocks begun in each run: it goes on from the last save
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(at), *map(str, command)], check=False
        )
        assert ended.returncode == -signal.SIGKILL
        assert not report.exists()
        with pytest.raises(pairdex.PairdexError, match="is not a collection"):
            pairdex.open(new)
    monkeypatch.setattr(near_duplicates, "_MOST_BLOCK_ROWS", 24)
    seen = []
    pairdex.dedup(collection, new, report=report, progress=lambda *step: seen.append(step))
    steps = [(done, total) for name, done, total in seen if name == "comparing"]
    assert min(steps) >= ((3 + 2) * 24, 250)
    assert not [name for name, *_ in seen if name in ("reading", "coding")]  # both were done
    assert report.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert tree(new) == tree(tmp_path / "whole" / "d")


def test_what_was_decided_by_another_plan_is_not_used(collect, tmp_path, monkeypatch):
    collection = collect(rows_near_each_other(250, seed=8, groups=40))
    monkeypatch.setattr("pairdex.curate.dedup.derive_collection", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pairdex.dedup(collection, tmp_path / "d", threshold=0.3)
    monkeypatch.undo()
    pairdex.dedup(collection, tmp_path / "d", threshold=0.01, report=tmp_path / "r.parquet")
    pairdex.dedup(collection, tmp_path / "e", threshold=0.01, report=tmp_path / "s.parquet")
    assert (tmp_path / "r.parquet").read_bytes() == (tmp_path / "s.parquet").read_bytes()


def test_the_same_call_again_changes_nothing_and_another_is_refused(collect, tmp_path, tree):
    collection, new = collect(rows_near_each_other(100, seed=9)), tmp_path / "d"
    first = pairdex.dedup(collection, new)
    before = tree(new)
    again = pairdex.dedup(collection, new)
    assert (again.rows, again.dropped, again.groups) == (first.rows, first.dropped, None)
    with pytest.raises(InvalidArgument, match="is a collection already"):
        pairdex.dedup(collection, new, threshold=0.1)
    with pytest.raises(InvalidArgument, match="was made without the report"):
        pairdex.dedup(collection, new, report=tmp_path / "late.parquet")
    assert tree(new) == before


def test_the_new_collection_names_its_origin(collect, tmp_path):
    collection = collect(rows_near_each_other(100, seed=9))
    pairdex.dedup(collection, tmp_path / "d", threshold=0.1)
    origin = pairdex.open(tmp_path / "d").manifest.origin
    assert (origin.collection, origin.checksum) == ("c", Store(collection).checksum)
    assert origin.rule == {"command": "dedup", "threshold": 0.1, "keep": "first", "on": "image"}
    assert pairdex.verify(tmp_path / "d").damaged == []


def test_rows_removed_meanwhile_are_told(collect, tmp_path):
    collection = collect(rows_near_each_other(100, seed=9))

    def steps(name, done, total):
        if name == "comparing":
            pairdex.remove(collection, ids=[1], reason="takedown")

    with pytest.raises(Mismatch, match=r"rows were removed from .* meanwhile"):
        pairdex.dedup(collection, tmp_path / "d", progress=steps)
    assert pairdex.dedup(collection, tmp_path / "d").rows > 0
    assert "u1" not in kept_urls(tmp_path / "d")


def test_one_row_and_no_duplicates_are_no_trouble(collect, tmp_path):
    made = pairdex.dedup(collect(np.eye(DIM, dtype=np.float16)[:1]), tmp_path / "d")
    assert (made.rows, made.dropped, made.groups, made.largest_group) == (1, 0, 0, 0)


def test_a_full_disk_is_told_and_nothing_is_made(collect, tmp_path, monkeypatch):
    collection = collect(rows_near_each_other(100, seed=9))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WriteFailed, match=r"cannot write .*: No space left on device; free space"):
        pairdex.dedup(collection, tmp_path / "d")
    monkeypatch.undo()
    assert pairdex.dedup(collection, tmp_path / "d").rows > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"threshold": -0.1}, "the threshold is -0.1, expected a distance of 0 to 1.0"),
        ({"threshold": float("nan")}, "the threshold is nan"),
        ({"threshold": 1.5}, "the threshold is 1.5"),
        ({"keep": "best"}, "keep is 'best', expected one of first, largest, similar"),
        ({"keep": "largest"}, "has no column width, which keep=largest needs; it has url"),
        ({"on": "text"}, "has no 'text' vectors"),
        ({"report": "r.csv"}, "expected a name that ends in .parquet"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_nothing(collect, tmp_path, options, told):
    collection = collect(rows_near_each_other(20, seed=9))
    with pytest.raises(InvalidArgument, match=told):
        pairdex.dedup(collection, tmp_path / "d", **options)
    assert not (tmp_path / "d").exists()


def test_the_command_says_what_it_did(run, collect, tmp_path):
    collection = collect(rows_near_each_other(100, seed=9))
    shown = run("dedup", collection, tmp_path / "d", "--report", tmp_path / "r.parquet", "--json")
    told = shown.json
    assert told["rows"] + told["dropped"] == 100
    assert (told["threshold"], told["keep"], told["on"]) == (0.06, "first", "image")
    assert told["groups"] > 0
    assert told["seconds"] > 0
    table = pq.read_table(tmp_path / "r.parquet")
    assert len(table) == told["dropped"]
    assert b'"threshold": 0.06' in table.schema.metadata[b"pairdex"]
    words = run("dedup", collection, tmp_path / "e").out.split()
    assert words[words.index("dropped") + 1] == str(told["dropped"])
    assert "not counted again" in run("dedup", collection, tmp_path / "e").out
    assert "is a collection already" in run("dedup", collection, collection).complaint


def test_a_store_may_be_given_without_codes_and_steps(collect, tmp_path):
    collection = collect(rows_near_each_other(100, seed=9))
    shutil.rmtree(collection / "indexes", ignore_errors=True)
    assert dedup(Store(collection), tmp_path / "d", DedupRule()).rows > 0
    assert not (collection / "indexes").exists()
