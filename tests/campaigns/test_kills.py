"""Kills and full disks at any instant: the same command goes on, and leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .kills import RUNS, SLOW

ROOT = Path(__file__).parents[2]
ROUNDS_OF_A_SHORT_CAMPAIGN = 45
ROUNDS_A_KILL = 45  # of --rounds: a kill takes much longer than a damaged file


@pytest.mark.skipif(sys.platform != "linux", reason="the driver counts the acts of Linux")
@pytest.mark.timeout(36_000)
def test_a_command_that_was_killed_or_had_a_full_disk_goes_on_and_leaves_nothing_behind(
    tmp_path, campaign_seed, campaign_rounds
):
    is_short = campaign_rounds <= ROUNDS_OF_A_SHORT_CAMPAIGN
    names = [name for name in RUNS if not (is_short and name in SLOW)]
    command = [sys.executable, "-m", "tests.campaigns.kills", ",".join(names), tmp_path]
    done = subprocess.run(
        [*map(str, command), str(campaign_seed), str(max(1, campaign_rounds // ROUNDS_A_KILL))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert list(said) == names
    assert all(one["disturbed"] >= 3 for one in said.values())
    assert [line for one in said.values() for line in one["found"]] == []
