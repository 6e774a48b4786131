"""The module built here runs on processors without AVX-512, or without AVX at all, under emulation."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pairdex._native as native

EMULATOR = shutil.which("qemu-x86_64")
PROGRAM = """
import importlib.util, sys
sys.path[:] = {path!r}
import numpy as np
spec = importlib.util.spec_from_file_location("pairdex._native", {module!r})
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)
rows = np.eye(5, 37, dtype=np.float16)
ids, _, _ = native.nearest([rows], rows.astype(np.float32), 1, allowed=None, threads=1, kernel="")
print(native.kernels()[0], ids.ravel().tolist())
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 machine")
@pytest.mark.skipif(EMULATOR is None, reason="needs qemu-x86_64 (Debian: qemu-user)")
@pytest.mark.parametrize(
    ("processor", "blas", "kernel"),
    [("Westmere", "Nehalem", "scalar"), ("Haswell", "Haswell", "avx2")],
)
def test_the_module_runs_on_an_old_processor_with_the_kernel_it_has(processor, blas, kernel):
    program = PROGRAM.format(path=sys.path, module=native.__file__)
    python = Path(sys.executable).resolve()
    run = subprocess.run(
        [EMULATOR, "-cpu", processor, python, "-c", program],
        capture_output=True,
        text=True,
        # NumPy's BLAS takes the emulated processor of an AMD machine for one with AVX.
        env={**os.environ, "OPENBLAS_CORETYPE": blas},
        check=False,
    )
    assert run.stdout.strip() == f"{kernel} [0, 1, 2, 3, 4]", run.stderr[-2000:]
