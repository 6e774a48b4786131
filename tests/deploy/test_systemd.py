"""The systemd unit: its settings are known, and what it may do is little."""

import subprocess

import pytest

from deploy.conftest import program, replaced
from places import ROOT

MAX_EXPOSURE = 10  # tenths of systemd's score, of 100: 0 is a service that may do nothing


@pytest.fixture
def unit(tmp_path):
    """A copy of the unit whose program exists."""
    text = (ROOT / "deploy" / "pairdex.service").read_text()
    path = tmp_path / "pairdex.service"
    path.write_text(replaced(text, {"/opt/pairdex/bin/pairdex": "/bin/true"}))
    return path


def analysed(*arguments):
    return subprocess.run(
        [program("systemd-analyze"), *arguments], capture_output=True, text=True, check=False
    )


def test_the_unit_has_only_settings_that_systemd_knows(unit):
    ran = analysed("verify", unit)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_a_setting_that_systemd_does_not_know_would_be_found(unit):
    unit.write_text(replaced(unit.read_text(), {"PrivateTmp=": "PrivatTmp="}))
    assert "'PrivatTmp'" in analysed("verify", unit).stderr


def test_the_unit_is_safe_by_systemds_own_measure(unit):
    ran = analysed("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", unit)
    assert ran.returncode == 0, ran.stdout


def test_the_units_command_is_one_that_serve_accepts(run, collection, tmp_path):
    lines = (ROOT / "deploy" / "pairdex.service").read_text().replace("\\\n", " ").splitlines()
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    options = command.split()[3:]  # after the program, serve and the collection
    (tmp_path / "token").write_text("")  # so that it ends here, after all options were read
    options = [one.replace("${CREDENTIALS_DIRECTORY}", str(tmp_path)) for one in options]
    complaint = run("serve", collection, *options).complaint
    assert complaint == f"the token file {tmp_path}/token is empty; write the token into it"
