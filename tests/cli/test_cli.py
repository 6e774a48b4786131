"""The command line: results on stdout for people or as JSON, exit status, Ctrl-C, pipes."""

import json
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.cli.commands import COMMANDS
from pairdex.cli.output import printable
from pairdex.knn.distance import cosine_distance
from pairdex.store.store import Store

GOES_ON = "pairdex: interrupted; the same command goes on where it stopped\n"
NAMES = [entry.name for entry in COMMANDS]

# Runs the program, and sends itself Ctrl-C before the n-th time that it renames a file.
INTERRUPTED = """
import os, signal, sys
at, renames = int(sys.argv.pop(1)), 0
def hook(event, arguments):
    global renames
    if event == "os.rename":
        renames += 1
        if renames == at:
            os.kill(os.getpid(), signal.SIGINT)
from pairdex.cli import main
sys.addaudithook(hook)
main()
"""


def program(*arguments, **options):
    """Run the program in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself(run, name, flag):
    shown = run(*name.split(), flag)
    assert shown.status == 0
    assert shown.err == ""
    assert "Usage: pairdex " + name in " ".join(shown.out.split())
    assert len(shown.out.splitlines()) > 5


def test_the_program_names_its_commands(run):
    shown = run("--help")
    assert shown.status == 0
    for name in NAMES:
        assert f" {name.split()[0]} " in shown.out


def test_the_version_is_that_of_the_package(run):
    assert run("--version").out == f"pairdex {pairdex.__version__}\n"


def test_the_program_is_a_module_too():
    shown = program("-m", "pairdex", "--version")
    assert (shown.returncode, shown.stdout) == (0, f"pairdex {pairdex.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["--nosuch"],
        ["build"],
        ["build", "parts"],
        ["build", "parts", "c", "more"],
        ["build", "parts", "c", "--nosuch"],
        ["build", "parts", "c", "--nsfw", "strict"],
        ["build", "parts", "c", "--limit", "many"],
        ["build", "parts", "c", "--tower", "h14"],
        ["info"],
        ["search", "c", "-k", "ten"],
        ["search", "c", "--like", "1.5"],
        ["search", "c", "--on", "sound"],
        ["search", "c", "--like"],
    ],
)
def test_wrong_usage_ends_with_status_2(run, arguments):
    shown = run(*arguments)
    assert shown.status == 2
    assert shown.out == ""
    assert shown.err
    assert "Traceback" not in shown.err


def test_build_tells_what_it_has_done(make_parts, run, tmp_path):
    source = make_parts(10, 5)
    shown = run("build", source, tmp_path / "c", "--nsfw", "sisap-dev", "--parts", "0-1")
    assert (shown.status, shown.err) == (0, "")
    lines = dict(line.split("  ", 1) for line in shown.out.splitlines())
    facts = {name: value.strip() for name, value in lines.items()}
    assert facts["rows"] == "12"
    assert facts["dropped"] == "3 nsfw"
    assert facts["parts"] == "2"


def test_build_as_json_has_the_keys_of_the_contract(make_parts, run, tmp_path):
    source = make_parts(10, 5)
    shown = run("build", source, tmp_path / "c", "--where", "width > 103", "--workers", 2, "--json")
    report = shown.json
    assert shown.out.count("\n") == 1
    assert shown.err == ""
    assert report["seconds"] > 0
    assert {name: report[name] for name in ("rows", "rows_read", "dropped", "parts", "dim")} == {
        "rows": 7,
        "rows_read": 15,
        "dropped": {"non_finite": 0, "zero": 0, "nsfw": 0, "where": 8},
        "parts": 2,
        "dim": 8,
    }


def test_build_takes_every_option(make_parts, run, tmp_path):
    source = make_parts(10, 10, 10, layout="datacomp")
    options = ["--parts", "0,2", "--tower", "b32", "--limit", "15", "--nsfw", "none"]
    report = run("build", source, tmp_path / "c", *options, "--json").json
    assert (report["rows"], report["dim"], report["parts"]) == (15, 4, 2)


def test_info_as_json_has_the_keys_of_the_contract(collection, run):
    facts = run("info", collection, "--json").json
    assert (facts["name"], facts["rows"], facts["dim"]) == ("collection", 60, 8)
    assert facts["vectors"] == ["image", "text"]
    assert facts["columns"][:3] == ["url", "caption", "nsfw"]
    assert [part["rows"] for part in facts["parts"]] == [30, 10, 20]
    assert facts["indexes"] == []
    assert facts["projections"] == []
    assert facts["model"] is None
    assert facts["filter"] == {"nsfw": "none", "where": None}
    files = [path for path in collection.rglob("*") if path.is_file()]
    assert facts["bytes"] == sum(path.stat().st_size for path in files if path.suffix != ".json")


def test_info_for_people_tells_the_same(collection, run):
    shown = run("info", collection)
    assert "image and text, 8 dimensions, float16" in shown.out
    assert "url, caption, nsfw" in shown.out


def test_info_tells_of_codes_and_whether_they_are_current(collection, make_parts, build, run):
    assert run("search", collection, "--like", 3).status == 0
    (index,) = run("info", collection, "--json").json["indexes"]
    assert (index["on"], index["current"]) == ("image", True)
    build(make_parts(5, numbers=[3]), collection)
    (index,) = run("info", collection, "--json").json["indexes"]
    assert index["current"] is False


def test_verify_as_json_has_the_keys_of_the_contract(collection, run):
    report = run("verify", collection, "--json").json
    assert report["damaged"] == []
    assert report["files"] == 9
    assert "damaged  none" in run("verify", collection).out


def test_a_search_as_json_has_the_keys_of_the_contract(collection, run):
    shown = run("search", collection, "--like", 31, "-k", 3, "--where", "width < 120", "--json")
    assert shown.out.count("\n") == 1
    assert shown.err == ""
    found = shown.json
    assert found["exact"] is True
    assert found["seconds"] >= 0
    hits = pairdex.open(collection).search(like=31, k=3, where="width < 120").table.to_pylist()
    assert found["hits"] == hits
    assert {"id", "distance", "similarity", "url", "caption", "part", "row"} <= hits[0].keys()


def test_a_search_for_people_shows_a_line_a_hit(collection, run):
    shown = run("search", collection, "--like", 31, "-k", 3)
    lines = shown.out.splitlines()
    assert len(lines) == 5
    hits = pairdex.open(collection).search(like=31, k=3)
    for line, row_id, caption in zip(
        lines[1:4], hits["id"].to_pylist(), hits["caption"].to_pylist(), strict=True
    ):
        assert line.split()[0] == str(row_id)
        assert caption in line


@pytest.fixture
def queries(tmp_path):
    array = np.random.default_rng(8).standard_normal((3, 8)).astype(np.float32)
    np.save(tmp_path / "q.npy", array)
    return array


def brute_force(collection, queries, k, on="image"):
    vectors = Store(collection).vectors(on)[:]
    distances = np.array([cosine_distance(query, vectors) for query in queries])
    return np.argsort(distances, axis=1, kind="stable")[:, :k], np.sort(distances, axis=1)[:, :k]


@pytest.mark.parametrize("options", [[], ["--no-codes"], ["--exact"]])
@pytest.mark.parametrize("on", ["image", "text"])
def test_many_queries_as_json_give_ids_and_distances(
    collection, run, tmp_path, queries, on, options
):
    given = ["--vectors", tmp_path / "q.npy", "-k", 4, "--on", on, *options]
    found = run("search", collection, *given, "--json").json
    ids, distances = brute_force(collection, queries, 4, on)
    assert found["ids"] == ids.tolist()
    np.testing.assert_allclose(found["distances"], distances, atol=1e-7)
    assert (found["queries"], found["k"], found["exact"]) == (3, 4, True)


def test_many_queries_for_people_give_a_line_each(collection, run, tmp_path, queries):
    lines = run("search", collection, "--vectors", tmp_path / "q.npy", "-k", 2).out.splitlines()
    ids, distances = brute_force(collection, queries, 2)
    for number, line in enumerate(lines):
        pairs = zip(ids[number], distances[number], strict=True)
        assert line == f"{number}  " + " ".join(f"{row_id}:{near:.4f}" for row_id, near in pairs)
    assert len(lines) == 3


def test_many_queries_are_written_as_sisaps_hdf5(collection, run, tmp_path, queries):
    out = tmp_path / "found.h5"
    given = ["--vectors", tmp_path / "q.npy", "-k", 61, "--where", "id >= 1", "--out", out]
    shown = run("search", collection, *given, "--json")
    assert shown.json["out"] == str(out)
    with h5py.File(out) as file:
        assert file["knns"].dtype == np.int32
        assert file["dists"].dtype == np.float32
        assert file["knns"].shape == file["dists"].shape == (3, 61)
        ids = file["knns"][:, :59] - 1
        assert (file["knns"][:, 59:] == 0).all()
        assert file.attrs["size"] == 60
        assert file.attrs["params"] == "k=61 on=image by=codes where=id >= 1"
        assert {"data", "algo", "buildtime", "querytime"} <= set(file.attrs)
    expected, _ = brute_force(collection, queries, 60)
    for found, all_of_them in zip(ids, expected, strict=True):
        assert found.tolist() == [row_id for row_id in all_of_them if row_id]


def test_many_queries_are_written_as_parquet(collection, run, tmp_path, queries):
    out = tmp_path / "found.parquet"
    given = ["--vectors", tmp_path / "q.npy", "-k", 2, "--out", out]
    assert str(out) in run("search", collection, *given).out
    ids, _ = brute_force(collection, queries, 2)
    table = pq.read_table(out)
    assert table.column_names == ["query", "rank", "id", "distance"]
    assert table["id"].to_pylist() == ids.ravel().tolist()


def test_hits_of_one_query_are_written_too(collection, run, tmp_path):
    hits = pairdex.open(collection).search(like=4, k=3).table
    for name in ("found.h5", "found.parquet"):
        given = ["--like", 4, "-k", 3, "--out", tmp_path / name]
        assert run("search", collection, *given, "--json").json["hits"] == hits.to_pylist()
    assert pq.read_table(tmp_path / "found.parquet") == hits
    with h5py.File(tmp_path / "found.h5") as file:
        assert (file["knns"][0] - 1).tolist() == hits["id"].to_pylist()


HOSTILE = "\x1b]0;owned\x07 \x1b[31mred\r\n\x9b2J [bold]x[/bold] :smile: \u202etxt.exe"


@pytest.fixture
def hostile(make_parts, build, tmp_path):
    """A collection whose captions and URLs would steer a terminal."""
    columns = {"caption": [HOSTILE, "b"], "url": [HOSTILE, "b"]}
    build(make_parts(2, columns=columns), tmp_path / "c", where=None)
    return tmp_path / "c"


def test_captions_cannot_steer_the_terminal(hostile, run):
    shown = run("search", hostile, "--like", 1, "-k", 1)
    assert shown.status == 0
    for character in ("\x1b", "\x07", "\x9b", "\r", "\u202e"):
        assert character not in shown.out
    assert "[bold]" in shown.out
    assert ":smile:" in shown.out


def test_json_carries_captions_as_they_are(hostile, run):
    shown = run("search", hostile, "--like", 1, "-k", 1, "--json")
    assert shown.json["hits"][0]["caption"] == HOSTILE
    assert "\x1b" not in shown.out


def test_names_that_are_no_text_are_printed_escaped(make_parts, run, tmp_path):
    target = tmp_path / "caf\udce9"
    source = make_parts(3).rename(tmp_path / "parts\udce9")
    assert run("build", source, target, "--json").status == 0
    assert len(run("search", target, "--like", 1, "--json").json["hits"]) == 2
    assert str(target).replace("\udce9", " ") in run("search", target, "--like", 9).complaint
    assert run("info", target).status == 0
    assert json.loads(run("info", target, "--json").out)["name"] == "caf\udce9"


def test_what_a_release_calls_its_columns_may_hold_times_and_bytes(
    make_parts, build, run, tmp_path
):
    columns = {"taken": pa.array([1, 2], pa.timestamp("ns", "UTC")), "hash": [b"\xff", None]}
    build(make_parts(2, columns=columns), tmp_path / "c")
    (hit,) = run("search", tmp_path / "c", "--like", 1, "--json").json["hits"]
    assert hit["taken"] == "1970-01-01 00:00:00.000000001Z"
    assert hit["hash"] == "/w=="


@pytest.mark.parametrize("arguments", [["info", "--json"], ["info"], ["search", "--like", "3"]])
def test_a_reader_that_has_left_is_no_error_to_talk_about(collection, arguments):
    name, *options = arguments
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "pairdex", name, str(collection), *options],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr == ""


@pytest.mark.parametrize("at", [1, 5, 9])
def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(
    make_parts, build, tmp_path, tree, at
):
    source = make_parts(50, 20)
    build(source, tmp_path / "undisturbed" / "c")
    collection = tmp_path / "interrupted" / "c"
    ran = program("-c", INTERRUPTED, at, "build", source, collection)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", GOES_ON)
    assert not list(tmp_path.rglob("*.partial"))
    assert not (collection / "collection.json").exists()
    assert collection.exists() == (at > 4), "it stays when a part is done"
    build(source, collection)
    assert tree(tmp_path / "interrupted") == tree(tmp_path / "undisturbed")


def test_ctrl_c_while_adding_leaves_the_collection_as_it_was(
    make_parts, collection, tmp_path, tree
):
    before = tree(collection)
    source = make_parts(50, numbers=[7], folder="more")
    ran = program("-c", INTERRUPTED, 2, "build", source, collection)
    assert (ran.returncode, ran.stderr) == (130, GOES_ON)
    after = tree(collection)
    assert {name: after[name] for name in before} == before
    assert Store(collection).rows == 60
    assert not list(tmp_path.rglob("*.partial"))


def test_ctrl_c_ends_the_workers_too(make_parts, build, tmp_path, tree):
    """A terminal sends it to every process of the command."""
    source = make_parts(150_000, 150_000, dim=64, text=False, columns=numbered)
    collection = tmp_path / "interrupted" / "c"
    command = ["-m", "pairdex", "build", source, collection, "--workers", 2]
    running = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(collection.glob("image/.*.partial")) and running.poll() is None:
        pass
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out, err) == (130, "", GOES_ON)
    assert not list(tmp_path.rglob("*.partial"))
    assert not (collection / "collection.json").exists()
    build(source, collection)
    build(source, tmp_path / "undisturbed" / "c")
    assert tree(tmp_path / "interrupted") == tree(tmp_path / "undisturbed")


def numbered(number, rows):
    return {"n": pa.array(np.arange(rows))}


def test_printable_text_is_left_as_it_is():
    assert printable("Grüße, 你好") == "Grüße, 你好"
    assert printable(HOSTILE).isprintable()
