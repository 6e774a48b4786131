"""Damaged and forged files: each reader answers or says one line, and never ends the process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .readers import COLLECTION_FILES, FILES, SEALED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [*FILES, *COLLECTION_FILES, *SEALED])
def test_whatever_is_done_to_a_file_its_reader_answers_or_says_one_line(
    name, tmp_path, campaign_seed, campaign_rounds
):
    command = [sys.executable, "-m", "tests.campaigns.readers", name, tmp_path]
    done = subprocess.run(
        [*map(str, command), str(campaign_seed), str(campaign_rounds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["count"] == campaign_rounds
    assert said["found"] == []
