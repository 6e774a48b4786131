"""Pictures come in order from threads and processes alike, and no process outlives its leader."""

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pairdex.encoders.decoding import Decoded, DecodingRules, Failure, decoder
from pairdex.encoders.encode import encode
from pairdex.encoders.model import load_model
from pairdex.encoders.preprocess import fitted
from pairdex.encoders.sources import Place, Sample
from pairdex.errors import InvalidArgument, WriteFailed

SPEC = load_model("demo").image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(30):
        levels = np.random.default_rng(i).integers(0, 256, (50, 60, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{i}.png")
    (folder / "7.png").write_bytes(b"no picture")
    return folder


def samples(folder):
    return [Sample(f"{i}.png", "", (), Place(str(folder / f"{i}.png"))) for i in range(30)]


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order_with_failures_in_their_place(pictures, workers):
    with decoder(DecodingRules(SPEC), workers=workers, threads=2) as decoding:
        results = list(decoding.decoded(samples(pictures)))
    assert isinstance(results[7], Failure)
    assert "not a picture of a known format" in results[7].reason
    for i, result in enumerate(results):
        if i != 7:
            assert isinstance(result, Decoded)
            assert (result.sample.name, result.width, result.height) == (f"{i}.png", 60, 50)
            with Image.open(pictures / f"{i}.png") as picture:
                assert np.array_equal(result.levels, fitted(picture, SPEC))


def test_threads_and_processes_give_the_same_bytes(pictures, tmp_path, tree):
    for workers in (0, 2):
        encode(pictures, tmp_path / f"parts{workers}", model="demo", workers=workers, part_rows=11)
    assert tree(tmp_path / "parts0") == tree(tmp_path / "parts2")


def test_a_sample_without_a_place_fails_with_its_own_reason():
    with decoder(DecodingRules(SPEC), workers=0, threads=1) as decoding:
        results = list(decoding.decoded([Sample("x", "", (), None, "it was not there")]))
    assert results == [Failure("x", "it was not there")]


def test_a_negative_number_of_workers_is_refused(pictures, tmp_path):
    with pytest.raises(InvalidArgument, match="workers is -1, expected at least 0"):
        encode(pictures, tmp_path / "parts", model="demo", workers=-1)


def test_a_worker_that_is_ended_from_outside_is_one_clear_error(pictures, tmp_path):
    def kill(step, done, total):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(WriteFailed, match="a worker was killed from outside"):
        encode(pictures, tmp_path / "parts", model="demo", workers=1, part_rows=5, progress=kill)


def test_workers_end_when_their_leader_is_killed(pictures):
    program = f"""
from pairdex.encoders.decoding import DecodingRules, decoder
from pairdex.encoders.model import load_model
from pairdex.encoders.sources import Place, Sample
if __name__ == "__main__":
    samples = [Sample("0", "", (), Place({str(pictures / "0.png")!r}))] * 100
    with decoder(DecodingRules(load_model("demo").image), workers=1, threads=1) as decoding:
        next(decoding.decoded(samples))
        print(*decoding._executor._processes, flush=True)
        input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        [pid] = map(int, process.stdout.readline().split())
        process.kill()
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)


def is_running(pid):
    """Whether there is such a process, and not only its entry that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
