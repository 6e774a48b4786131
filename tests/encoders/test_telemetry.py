"""Nothing is sent to anybody: onnxruntime's telemetry is off before it begins."""

import os
import subprocess
import sys

IMPORTING = "import pairdex.encoders.encoder, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"


def test_onnxruntime_does_not_start_its_telemetry():
    environment = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    # Where it cannot store the id of this machine, its telemetry says so when it starts.
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTING],
        env=environment | nowhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("1\n", "")
