"""The docs name every command and option there is, and none that there is not."""

import re
import subprocess

import pytest

import pairdex.cli.app as cli
from places import ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = {group.name: group.typer_instance for group in cli.app.registered_groups}
COMMANDS = {command.name for command in cli.app.registered_commands} | {
    f"{name} {command.name or command.callback.__name__}"
    for name, group in GROUPS.items()
    for command in group.registered_commands
}


def test_every_command_appears_in_the_readme_or_the_docs():
    text = "\n".join(path.read_text() for path in DOCS)
    assert {name for name in COMMANDS if f"pairdex {name}" not in text} == set()


def test_the_readme_names_no_command_that_does_not_exist():
    named = set(re.findall(r"^\s*(?:\$ )?pairdex ([a-z]+)", (ROOT / "README.md").read_text(), re.M))
    assert named <= {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_relative_links_of_the_docs_lead_somewhere(path):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_module_begins_with_a_sentence_that_says_what_it_is_for():
    modules = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").glob("*.py")]
    bare = [path.name for path in modules if not path.read_text().startswith('"""')]
    assert bare == []


def test_no_file_in_git_is_large():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    assert [path for path in paths if path.is_file() and path.stat().st_size > 2_000_000] == []


def test_every_test_that_the_threats_name_exists():
    named = re.findall(
        r"`([\w/]*test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "security.md").read_text()
    )
    tests = ROOT / "tests"
    sources = {str(path.relative_to(tests)): path.read_text() for path in tests.rglob("test_*.py")}
    assert len(named) > 30
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in sources[file]] == []
