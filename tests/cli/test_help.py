"""Help: quick, complete, readable; every command in one table; completion in the shell."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from inspect import cleandoc

import pytest
from typer.core import TyperOption

from pairdex.cli.commands import COMMANDS, GROUPS, load
from places import ROOT

BY_NAME = pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)

# Runs the program with the arguments, then prints the modules it has imported, on stderr.
LISTING = """
import json, sys
from pairdex.cli import main
try:
    main()
finally:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""
# Presses Ctrl-C as soon as numpy is imported, of which a command is the first to ask.
INTERRUPTING = """
import os, signal, sys
def hook(event, arguments):
    if event == "import" and arguments[0] == "numpy":
        os.kill(os.getpid(), signal.SIGINT)
from pairdex.cli import main
sys.addaudithook(hook)
main()
"""
OWN_MODULES = {
    "pairdex",
    "pairdex.cli",
    "pairdex.cli.commands",
    "pairdex.cli.help",
    "pairdex.cli.interrupts",
    "pairdex.cli.program",
    "pairdex.errors",
    "pairdex.files",
    "pairdex.files.os_advice",
    "pairdex.version",
}
# `attr` only where it is installed: rich prints its objects.
OTHERS = {
    "annotated_doc",
    "attr",
    "markdown_it",
    "mdurl",
    "pygments",
    "rich",
    "shellingham",
    "typer",
}


def imported_by(*arguments):
    ran = subprocess.run(
        [sys.executable, "-I", "-c", LISTING, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stderr))


def idle_modules():
    """What Python imports by itself here, for example for editable installs."""
    code = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout))


def words(text):
    return set(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize(
    "command",
    [
        "atlas",
        "export",
        "index",
        "info",
        "project",
        "remove",
        "score",
        "subset",
        "verify",
    ],
)
def test_the_help_of_a_light_command_imports_no_numerical_library(command):
    names = imported_by(command, "--help")
    assert names.isdisjoint({"numpy", "pyarrow", "duckdb", "h5py", "pairdex._native"})


def test_the_help_of_the_program_imports_little():
    names = imported_by("--help") - idle_modules()
    assert {name for name in names if name.split(".")[0] == "pairdex"} == OWN_MODULES
    tops = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"pairdex"}
    assert tops - OTHERS == set()


def test_the_version_imports_less():
    names = imported_by("--version")
    assert not names & {"typer", "rich", "numpy"}


@pytest.mark.parametrize("group", GROUPS)
def test_the_help_of_a_group_imports_none_of_its_commands(group):
    names = imported_by(group, "--help")
    assert not names & {"numpy", "pyarrow", "duckdb", "onnxruntime", "PIL"}


@BY_NAME
def test_the_table_says_what_the_docstring_of_a_command_begins_with(entry):
    docstring = import_module(entry.module).command.__doc__
    assert cleandoc(docstring).split("\n\n")[0] == entry.help


@pytest.mark.parametrize("width", [80, 120])
@BY_NAME
def test_help_shows_every_word_and_no_types_of_python(run, monkeypatch, entry, width):
    monkeypatch.setenv("COLUMNS", str(width))
    shown = run(*entry.name.split(), "--help").out
    command = load(entry)
    texts = [command.help, *(parameter.help for parameter in command.params)]
    assert words(" ".join(texts)) - words(shown) == set()
    assert max(map(len, shown.splitlines())) <= width
    assert not re.search(r"<(bool|str|int|float|path|list)\b|list\[", shown)


@BY_NAME
def test_every_command_ends_its_help_with_examples_that_parse(run, entry):
    lines = import_module(entry.module).EXAMPLES
    assert run(*entry.name.split(), "--help").out.rstrip().endswith(lines[-1])
    for line in lines:
        program, *arguments = shlex.split(line)
        assert len(f"   {line}") <= 80
        assert [program, *arguments][: 1 + len(entry.name.split())] == [
            "pairdex",
            *entry.name.split(),
        ]
        load(entry).make_context(entry.name, arguments[len(entry.name.split()) :])


@BY_NAME
def test_commands_with_more_than_ten_options_show_them_in_groups(entry):
    options = {p.name: p for p in load(entry).params if isinstance(p, TyperOption)}
    panels = getattr(import_module(entry.module), "PANELS", {})
    named = [name for names in panels.values() for name in names.split()]
    if len(options) > 10 or panels:
        assert sorted(named) == sorted(options)


@BY_NAME
def test_help_is_plain_english(entry):
    command = load(entry)
    for text in [command.help, *(parameter.help for parameter in command.params)]:
        assert not re.search(r"\b(is|are) no |so many|\banew\b|in the place of|\btells?\b", text)
        assert text[0] == text[0].upper() or re.match(r"(tfds|parquet)\b", text)
        assert text.rstrip().endswith((".", ")"))


def test_no_function_of_the_command_line_is_longer_than_50_lines():
    long = [
        f"{path.name}:{node.name}"
        for path in (ROOT / "src" / "pairdex" / "cli").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 50
    ]
    assert long == []


def test_ctrl_c_while_a_command_is_imported_ends_with_one_line(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, "info", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "pairdex: interrupted\n")


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("pairdex eva", ["evaluate"]),
        ("pairdex clickhouse re", ["report"]),
        ("pairdex search --ex", ["--exact", "--explain"]),
        ("pairdex build --nsfw sisap", ["sisap", "sisap-dev"]),
    ],
)
def test_bash_completes_commands_options_and_values(tmp_path, typed, completions):
    if shutil.which("bash") is None:
        pytest.skip("bash is absent")
    program = tmp_path / "pairdex"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pairdex "$@"\n')
    program.chmod(0o755)
    script = f"""
        eval "$(pairdex --show-completion bash)"
        COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _pairdex_completion pairdex
        echo "${{COMPREPLY[@]}}"
    """
    ran = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert (ran.stdout.split(), ran.stderr) == (completions, "")
