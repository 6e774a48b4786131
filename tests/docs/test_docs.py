"""The docs name every command and every option, and none that does not exist."""

import re
import runpy
import subprocess

import pytest
from typer.core import TyperOption

from pairdex.cli.commands import COMMANDS, GROUPS, load
from places import ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = {entry.name for entry in COMMANDS}
OF_THE_PROGRAM = {"--version", "--install-completion", "--show-completion", "--help", "-h"}

# Commands that docs may name with a slash or in prose after `pairdex`, as `pairdex clickhouse`.
BEGINNINGS = {name.split()[0] for name in NAMES} | {"COMMAND"}


def options_of(name):
    (entry,) = (entry for entry in COMMANDS if entry.name == name)
    return {
        option
        for parameter in load(entry).params
        if isinstance(parameter, TyperOption)
        for option in parameter.opts
    } | {"--help", "-h"}


def called(text):
    """Every call of the program in the code of a page: the line, the command, the options."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    blocks = [code for kind, code in fenced if kind in ("", "sh", "bash", "console")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *re.findall(r"`(pairdex [^`]+)`", text)]:
        code = re.sub(r"'[^']*'|\"[^\"]*\"", "''", line.split(" #")[0])
        call = re.search(r"(?:^|[\s/])pairdex ([a-z].*)", re.split(r"[|;&]", code)[0])
        if call is None or "import" in line:
            continue
        words = call[1].split()
        name = " ".join(words[: 2 if words[0] in GROUPS else 1])
        yield line.strip(), name, [w.split("=")[0] for w in words if re.match("--?[a-z]", w)]


def test_every_command_appears_in_the_readme_or_the_docs():
    text = "\n".join(path.read_text() for path in DOCS if path.name != "cli.md")
    assert {name for name in NAMES if f"pairdex {name}" not in text} == set()


def test_the_reference_of_the_command_line_is_current():
    reference = runpy.run_path(str(ROOT / "tools" / "write_cli_reference.py"))["reference"]()
    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == reference, "run: python tools/write_cli_reference.py"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_option_appears_in_the_reference(name):
    page = (ROOT / "docs" / "cli.md").read_text()
    section = page.split(f"### pairdex {name}\n", 1)[1].split("\n### ")[0]
    missing = [o for o in options_of(name) - OF_THE_PROGRAM if f"`{o}" not in section]
    assert missing == []


def test_every_option_of_the_program_appears_in_the_reference():
    page = (ROOT / "docs" / "cli.md").read_text()
    assert [option for option in OF_THE_PROGRAM if option not in page and option != "-h"] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_docs_call_no_command_or_option_that_does_not_exist(path):
    wrong = []
    for line, name, options in called(path.read_text()):
        if name.split()[0] not in BEGINNINGS or (name in NAMES and set(options) - options_of(name)):
            wrong.append(line)
    assert wrong == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
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
