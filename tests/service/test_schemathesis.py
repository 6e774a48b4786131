"""Every route answers as /openapi.json says, whatever is made up from it, and asks for its token."""

import subprocess
import sys

import pytest

from served import serving

SECONDS = 25  # of making up requests
TOKEN = "s3cret"
# That a body fits its schema does not make a search of it: a schema cannot say "exactly one of these",
# nor that the vector has as many numbers as the collection's.
NOT_ASKED = "positive_data_acceptance"


@pytest.mark.timeout(SECONDS * 4)
def test_schemathesis_finds_nothing(scenes, web, tmp_path):
    pytest.importorskip("schemathesis")
    log = tmp_path / "log"
    with serving(log, scenes, web, options=["--token", TOKEN]) as url:
        run = subprocess.run(
            [
                *[sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"],
                *["--max-time", str(SECONDS), "--checks", "all", "--exclude-checks", NOT_ASKED],
                *["--header", f"Authorization: Bearer {TOKEN}", "--seed", "1"],
                *["--continue-on-failure", "--request-timeout", "20", "--no-color"],
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "Traceback" not in log.read_text()
