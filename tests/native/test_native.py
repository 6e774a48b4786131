"""The compiled module: its small functions, its stub, its manners."""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pairdex
from pairdex import _native


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dim", [1, 7, 8, 64, 513])
def test_check_rows_finds_zero_and_not_finite_rows(threads, dim):
    rows = np.random.default_rng(1).uniform(0.1, 1, (2500, dim)).astype(np.float16)
    rows[3] = 0
    rows[5] = -0.0
    rows[1024, dim - 1] = np.nan
    rows[2499, dim // 2] = -np.inf
    rows[7] = 0
    rows[7, dim // 2] = 6e-8  # the smallest subnormal
    state = _native.check_rows(rows, threads=threads)
    assert {int(i): int(state[i]) for i in np.flatnonzero(state)} == {3: 1, 5: 1, 1024: 2, 2499: 2}


def test_scalar_twin_is_always_there_and_last():
    assert _native.kernels()[-1] == "scalar"


# What Linux must report of a processor for a kernel to run on it.
FLAGS = {
    "amx": "avx2 fma f16c avx512f avx512bw avx512vl avx512dq avx512_vnni amx_tile amx_int8",
    "avx512": "avx2 fma f16c avx512f avx512bw avx512vl avx512dq avx512_vnni",
    "avxvnni": "avx2 fma f16c avx_vnni",
    "avx2": "avx2 fma f16c",
    "neondot": "asimddp",
    "neon": "asimd",
}
CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(
    not CPUINFO.exists(), reason="the processor's flags are read from /proc/cpuinfo"
)
def test_every_kernel_is_offered_that_the_processor_has_the_instructions_for():
    flags = set(re.search(r"^(?:flags|Features)\s*:(.*)$", CPUINFO.read_text(), re.M)[1].split())
    promised = {kernel for kernel, needed in FLAGS.items() if flags >= set(needed.split())}
    if "amx" in promised and not amx_is_granted():
        promised.remove("amx")
    assert promised <= set(_native.kernels())


def amx_is_granted():
    """Whether the system lets this process use AMX tiles, which it may refuse."""
    return ctypes.CDLL(None).syscall(158, 0x1023, 18) == 0  # arch_prctl(ARCH_REQ_XCOMP_PERM, ...)


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
