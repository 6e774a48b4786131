"""Commands killed at any act on their files, and run again: what an undisturbed run gives, and nothing else.

    python -m tests.campaigns.kills NAME,NAME FOLDER SEED KILLS

kills each command at that many acts (0: at each), and lets it run where no file grows beyond a limit, as on
a full disk. It runs it again, and prints what differs, as JSON. Every run is a forked process in the same
folder, so that paths in files are the same.
"""

import contextlib
import json
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairdex
from pairdex.cli.commands import COMMANDS, load
from pairdex.cli.program import main as program

ROWS, DIM = 60, 8
ACTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

RUNS = {
    "build": "build parts new --nsfw none",
    "build of more parts": "build more c --nsfw none",
    "build by two workers": "build parts new --nsfw none --workers 2",
    "subset": "subset c new --where width>110",
    "dedup": "dedup c new --threshold 0.5 --report report.parquet",
    "dedup by two workers": "dedup c new --threshold 0.5 --report report.parquet --workers 2",
    "pairs": "pairs c --within 0.5 --out pairs.parquet",
    "graph": "graph c --out graph.h5 -k 3 --exact",
    "graph as table": "graph c --out graph.parquet -k 3",
    "queries": "queries c --out drawn.h5 -n 10",
    "gold": "gold c queries.npy --out made.h5 -k 5",
    "results": "search c --vectors queries.npy -k 5 --out results.h5",
    "result table": "search c --vectors queries.npy -k 5 --out results.parquet",
    "codes": "search c --like 3",
    "words": "search c --like 3 --keywords caption",
    "sql": "sql c SELECT[id,caption]FROM[pairs] --out rows.csv",
    "project": "project c pca3",
    "projected queries": "project c pca3 --queries queries.npy --out projected.h5",
    "score": "score c --nsfw head.npz",
    "index": "index c",
    "remove": "remove c --ids ids.txt --reason asked",
    "evaluate": "evaluate run.h5 gold.h5 -k 3 --plot plot.svg --csv runs.csv",
    "bench": "bench c queries.npy -k 5 --out runs",
    "sisap": "export c out --format sisap",
    "tsv": "export c out --format tsv",
    "parquet": "export c out --format parquet",
    "laion": "export c out --format laion",
    "webdataset": "export c out --format webdataset --rows 7",
    "tfds": "export c out --format tfds --config embeddings --rows 7",
    "clickhouse files": "export c out --format clickhouse",
    "clickhouse udf": "clickhouse udf out --model demo",
    "encode": "encode pictures new --model demo",
    "push": "push c file://HERE/new",
    "pull": "pull file://HERE/published new",
    "photos": "photos pictures new --model demo --no-serve",
    "atlas": "atlas c",
}
"""A run's name, and its command line; `[` and `]` stand for blanks inside an argument, HERE for the folder."""

SLOW = {
    "atlas",
    "bench",
    "build by two workers",
    "dedup by two workers",
    "evaluate",
    "photos",
    "pull",  # short campaigns have tests/sharing/test_kill.py
    "push",
}
"""Runs that take long: they are left out of short campaigns."""


def arguments(name):
    line = RUNS[name].replace("HERE", str(Path.cwd()))
    return [word.replace("[", " ").replace("]", " ").strip() for word in line.split(" ")]


def save_part(folder, number, rows):
    vectors = np.random.default_rng(number).standard_normal((2, rows, DIM)).astype(np.float16)
    for kind, some in zip(("img_emb", "text_emb"), vectors, strict=True):
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{kind}_{number}.npy", some)
    columns = {
        "url": [f"http://e.org/{number}/{row}" for row in range(rows)],
        "caption": [f"caption {row}" for row in range(rows)],
        "NSFW": ["UNLIKELY"] * rows,
        "width": [100 + row for row in range(rows)],
    }
    pq.write_table(pa.table(columns), folder / f"metadata_{number}.parquet")


def make_inputs(folder):
    """Make all that the commands read."""
    folder.mkdir()
    os.chdir(folder)
    for number, rows in enumerate((30, 10, 20)):
        save_part(Path("parts"), number, rows)
    save_part(Path("more"), 5, 15)
    pairdex.build("parts", "c", nsfw="none")
    np.save("queries.npy", np.random.default_rng(9).standard_normal((6, DIM)).astype(np.float32))
    pairdex.gold("c", "queries.npy", out="gold.h5", k=5)
    shutil.rmtree("c/indexes", ignore_errors=True)
    pairdex.push("c", f"file://{Path.cwd()}/published")
    shutil.copy("gold.h5", "run.h5")
    with h5py.File("run.h5", "a") as file:
        file.attrs["querytime"] = 2.0
    Path("ids.txt").write_text("3\n17\n")
    rng = np.random.default_rng(3)
    tensors = {"norm__mean": np.zeros(DIM, np.float32), "norm__variance": np.ones(DIM, np.float32)}
    for layer, (rows, width) in enumerate(((4, DIM), (1, 4)), 1):
        tensors[f"linear_{layer}__weight"] = rng.standard_normal((rows, width)).astype(np.float32)
        tensors[f"linear_{layer}__bias"] = np.zeros(rows, np.float32)
    np.savez("head.npz", **tensors)
    from pairdex.demo.pictures import draw_pictures

    draw_pictures(Path("pictures"), count=6, seed=2)


def in_a_child(work):
    """Do `work` in a forked process and wait for it alone; return its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
        except BaseException:  # noqa: BLE001 - the child has no other way to report it
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def call(name, folder, at=None):
    """Run a command in the folder; call `at(n)` before its n-th act on a file, and after the last."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["pairdex", *arguments(name)]
    count = 0

    def act():
        nonlocal count
        count += 1
        if at is not None:
            at(count)

    def hook(event, given):
        if event in ACTS and is_ours(event, given, str(folder)):
            act()

    synced = os.fsync

    def fsync(descriptor):
        act()
        synced(descriptor)

    os.fsync = fsync
    sys.addaudithook(hook)
    try:
        program()
    finally:
        act()
    return count


def is_ours(event, given, folder):
    path = given[0]
    if event == "open" and not (isinstance(given[2], int) and given[2] & WRITING):
        return False
    if isinstance(path, int):
        return False
    path = os.fsdecode(path)
    return not path.startswith("/") or path.startswith(folder)


def count_acts(name, folder):
    read, write = os.pipe()
    counts = []

    def work():
        try:
            call(name, folder, counts.append)
        finally:
            os.write(write, str(len(counts)).encode())

    status = in_a_child(work)
    os.close(write)
    assert status == 0, f"{name} ended with {status}"
    return int(os.read(read, 100))


def seen(folder):
    """The content of every file below a folder, by path; None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def differences(found, whole, again):
    """Name what was left over, is missing or differs; what two whole runs write differently may."""
    for name in sorted(set(found) - set(whole)):
        yield f"{name} was left over"
    for name, content in whole.items():
        if name not in found:
            yield f"{name} is missing"
        elif content == again[name] and found[name] != content:
            yield f"{name} differs"


class Campaign:
    """One command in a folder of its inputs: whole runs, disturbed ones, and what differs."""

    def __init__(self, name, place):
        self.name, self.inputs, self.work = name, place / "inputs", place / "work"
        self.found, self.disturbed = [], 0
        self.fresh()
        self.acts = count_acts(name, self.work)
        self.whole = seen(self.work)
        self.fresh()
        count_acts(name, self.work)
        self.again = seen(self.work)
        assert set(self.whole) == set(self.again), set(self.whole) ^ set(self.again)

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.inputs, self.work)

    def go_on(self, said):
        """Run the disturbed command again and compare."""
        self.disturbed += 1
        status = in_a_child(lambda: call(self.name, self.work))
        if status:
            self.found.append(f"{said}: run again, it ended with {status}")
        for one in differences(seen(self.work), self.whole, self.again):
            self.found.append(f"{said}: {one}")

    def kill(self, point):
        def at(n):
            if n == point:
                os.kill(os.getpid(), signal.SIGKILL)

        self.fresh()
        status = in_a_child(lambda: call(self.name, self.work, at))
        said = f"{self.name}: killed at {point} of {self.acts}"
        if status != -signal.SIGKILL:  # the acts of two runs need not be the same
            self.found.append(f"{said}: it ended with {status} before")
        self.go_on(said)

    def fill(self, limit):
        """Let no file grow beyond a limit, as on a full disk."""
        read, write = os.pipe()

        def limited():
            os.dup2(write, 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            call(self.name, self.work)

        self.fresh()
        status = in_a_child(limited)
        os.write(write, b"\n")
        line = os.read(read, 1 << 16).decode().strip().split("\n")[-1]
        os.close(read)
        os.close(write)
        said = f"{self.name}: files of {limit} bytes at most"
        is_told = re.fullmatch(r"pairdex: .*(free space|too large).*", line, re.I)
        if status not in (0, 1) or (status and not is_told):
            self.found.append(f"{said}: it ended with {status}: {line[-300:]}")
        self.go_on(said)


def campaign(name, place, seed, kills):
    made, chance = Campaign(name, place), random.Random(f"{seed} {name}")
    points = list(range(1, made.acts + 1))
    if kills:
        points = sorted({points[-1], *chance.sample(points[:-1], min(len(points) - 1, kills))})
    for point in points:
        made.kill(point)
    largest = max(len(content) for content in made.whole.values() if content is not None)
    for _ in range(max(1, kills)):
        made.fill(chance.randrange(largest))
    return {"disturbed": made.disturbed, "found": made.found}


def import_all():
    """Import what the commands import, once, so that each forked run begins at once."""
    for entry in COMMANDS:
        load(entry)
    for package in ("exports", "search", "derived", "curate", "reference", "evaluation", "follow"):
        for found in pkgutil.walk_packages(
            import_module(f"pairdex.{package}").__path__, f"pairdex.{package}."
        ):
            import_module(found.name)
    for name in ("tensorflow_datasets", "array_record.python.array_record_module"):
        with contextlib.suppress(ImportError):
            import_module(name)


def main():
    names, place, seed, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    import_all()
    assert in_a_child(lambda: make_inputs(place / "inputs")) == 0
    said = {}
    for name in names.split(","):
        started = time.perf_counter()
        said[name] = campaign(name, place, seed, kills)
        sys.stderr.write(f"{name}: {time.perf_counter() - started:.1f} s\n")
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
