"""The compiled module: its small functions, its stub, its manners."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pairdex
from pairdex import _native


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dim", [1, 7, 8, 64, 513])
def test_check_rows_tells_zero_and_not_finite_rows(threads, dim):
    rows = np.random.default_rng(1).uniform(0.1, 1, (2500, dim)).astype(np.float16)
    rows[3] = 0
    rows[5] = -0.0
    rows[1024, dim - 1] = np.nan
    rows[2499, dim // 2] = -np.inf
    rows[7] = 0
    rows[7, dim // 2] = 6e-8  # the smallest subnormal
    state = _native.check_rows(rows, threads=threads)
    assert {int(i): int(state[i]) for i in np.flatnonzero(state)} == {3: 1, 5: 1, 1024: 2, 2499: 2}


def test_touch_reads_every_byte():
    data = np.random.default_rng(1).integers(0, 256, 3 * 2**20 + 13, dtype=np.uint8)
    whole = data.size // 64 * 64
    pieces = [data[i : i + 2**20] for i in range(0, data.size, 2**20)]
    expected = 0
    for piece in pieces:
        words = piece.size // 64 * 64
        expected += int(piece[:words].view(np.uint64).sum(dtype=np.uint64)) + int(
            piece[words:].sum()
        )
    assert whole < data.size
    assert _native.touch(data, threads=2) == expected % 2**64


def test_scalar_twin_is_always_there_and_last():
    assert _native.kernels()[-1] == "scalar"


def test_stub_is_the_one_that_nanobind_makes(tmp_path):
    stub = tmp_path / "_native.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-m", "pairdex._native", "-o", str(stub)]
    subprocess.run(command, check=True, capture_output=True)
    committed = Path(pairdex.__file__).with_name("_native.pyi")
    assert stub.read_text() == committed.read_text(), f"run: {' '.join(command[:-1])} {committed}"


INTERRUPTED = """
import signal, numpy as np
from pairdex.knn import hamming, cosine, euclidean
signal.setitimer(signal.ITIMER_REAL, 0.2)
signal.signal(signal.SIGALRM, signal.default_int_handler)
rows = np.random.default_rng(1).standard_normal((20_000, 64)).astype(np.float32)
while True:
    {search}
"""


@pytest.mark.parametrize(
    "search",
    [
        "cosine.nearest([rows.astype(np.float16)], rows, 10, kernel='scalar')",
        "euclidean.nearest([rows], rows, 10, kernel='scalar')",
        "hamming.nearest([rows.view(np.uint64)], rows.view(np.uint64), 10, kernel='scalar')",
    ],
)
def test_ctrl_c_stops_a_search(search):
    program = INTERRUPTED.format(search=search)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert "KeyboardInterrupt" in done.stderr
    assert done.returncode != 0
