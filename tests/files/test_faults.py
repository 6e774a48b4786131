"""A file that is cut short while it is mapped ends no process that has asked to survive it."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from pathlib import Path
import numpy as np
import pyarrow as pa
from pairdex.errors import DamagedFile
from pairdex.files import atomic, faults
from pairdex.knn import cosine

folder = Path(sys.argv[1])
rows = np.ones((3000, 64), np.float16)
rows.tofile(folder / "rows")
mapped = np.memmap(folder / "rows", np.float16, "r", shape=rows.shape)
table = pa.table({"text": ["caption"] * 10_000})
with pa.OSFile(str(folder / "table"), "wb") as file, pa.ipc.new_file(file, table.schema) as stream:
    stream.write_table(table)
arrow = pa.ipc.open_file(pa.memory_map(str(folder / "table"))).get_batch(0)
def cut(name):
    with open(folder / name, "r+b") as file:
        file.truncate(0)
"""


def run(program, folder, *, survive=True):
    begin = "faults.survive()\nfaults.survive()\n" if survive else ""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + begin + program, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_it_the_process_ends(tmp_path):
    ended = run("cut('rows'); print(mapped.sum())", tmp_path, survive=False)
    assert ended.returncode == -signal.SIGBUS


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("rows", "mapped[2999].sum()"),
        ("rows", "mapped.sum()"),
        ("rows", "mapped[[5, 2000, 17]].copy()"),
        ("rows", "cosine.nearest([mapped], rows[:20], 5)"),
        ("table", "arrow.validate(full=True)"),
        ("table", "arrow.take(pa.array([9_999, 3])).to_pylist()"),
    ],
)
def test_every_way_of_reading_a_file_that_was_cut_short_is_survived_and_counted(
    tmp_path, name, read
):
    ended = run(
        f"""
assert faults.count() == 0
cut({name!r})
try:
    {read}
except Exception as error:
    print("raised", type(error).__name__)
assert faults.count() > 0
""",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_pages_that_are_left_keep_their_bytes(tmp_path):
    ended = run(
        """
with open(folder / "rows", "r+b") as file:
    file.truncate(2 * 4096)
assert (mapped[:64] == 1).all() and faults.count() == 0
assert (mapped[64:] == 0).all() and faults.count() > 0
assert (mapped[:64] == 1).all()
""",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr


def test_threads_survive_too(tmp_path):
    ended = run(
        """
cut("rows")
threads = [threading.Thread(target=mapped.sum) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert mapped.sum() == 0 and faults.count() > 0
""",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr


def test_what_was_read_while_a_file_was_cut_short_is_refused_and_not_written(tmp_path):
    ended = run(
        """
try:
    with faults.checked("reading rows"):
        cut("rows")
        mapped.sum()
except DamagedFile as error:
    print(error)
with faults.checked("reading rows"):
    mapped.sum()  # zeros by now: the file has to be opened again, as the count tells
rows.tofile(folder / "rows")
mapped = np.memmap(folder / "rows", np.float16, "r", shape=rows.shape)
(folder / "derived").write_text("old")
try:
    with atomic.replacing(folder / "derived") as file:
        cut("rows")
        file.write(mapped.tobytes())
except DamagedFile as error:
    print(error)
print((folder / "derived").read_text(), *sorted(path.name for path in folder.iterdir()))
""",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    reading, writing, left = ended.stdout.splitlines()
    assert reading.startswith("reading rows failed: a file was cut short")
    assert writing.startswith(f"writing {tmp_path}/derived failed: a file was cut short")
    assert left == "old derived rows table"


def test_a_write_to_a_lost_page_still_ends_the_process(tmp_path):
    ended = run(
        """
written = np.memmap(folder / "rows", np.float16, "r+", shape=rows.shape)
cut("rows")
written[:] = 2
print("nothing was lost")
""",
        tmp_path,
    )
    assert ended.returncode in (-signal.SIGSEGV, -signal.SIGBUS)
    assert ended.stdout == ""


def test_a_signal_that_was_sent_ends_the_process_as_before(tmp_path):
    ended = run("import os, signal; os.kill(os.getpid(), signal.SIGBUS); print('on')", tmp_path)
    assert ended.returncode == -signal.SIGBUS
