"""Writes docs/cli.md, the reference of the command line, from what `--help` says.

python tools/write_cli_reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperOption

from pairdex.cli.commands import COMMANDS, Entry, load
from pairdex.cli.help import flowing

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
_HEAD = """# Command line

What `pairdex COMMAND --help` says, on one page. `tools/write_cli_reference.py` writes this file; a test keeps it current.

Every command ends with exit status 0 when it is done, 1 when it failed (one line on stderr says why), 2 on wrong usage and
130 after Ctrl-C. Results go to stdout, with `--json` as one JSON object; progress goes to stderr, and only on a terminal.
Sizes are written `500MB` or `4GB`, part ranges `0-9,12`. `pairdex --install-completion` installs completion for your shell,
`pairdex --show-completion` prints the script. `pairdex --version` prints the version.
"""


def reference() -> str:
    """Return the page."""
    panels: dict[str, list[Entry]] = {}
    for entry in COMMANDS:
        panels.setdefault(entry.panel, []).append(entry)
    lines = [_HEAD]
    for panel, entries in panels.items():
        lines.append(f"## {panel}\n")
        for entry in entries:
            lines += _command(entry)
    return "\n".join(lines).rstrip() + "\n"


def _command(entry: Entry) -> Iterator[str]:
    command: Any = load(entry)
    arguments = [p for p in command.params if isinstance(p, TyperArgument)]
    options = [p for p in command.params if isinstance(p, TyperOption)]
    names = [f"[{a.metavar}]" if not a.required else str(a.metavar) for a in arguments]
    yield f"### pairdex {entry.name}\n"
    yield f"`pairdex {' '.join([entry.name, *names, '[OPTIONS]'])}`\n"
    yield f"{_escaped(flowing(command.help))}\n"
    yield "| | |\n|---|---|"
    for argument in arguments:
        yield _row(f"`{argument.metavar}`", argument)
    for option in options:
        yield _row(f"`{' '.join([', '.join(option.opts), _value(option)]).strip()}`", option)
    examples = [line.strip() for line in command.epilog.splitlines()[1:]]
    yield "\n```sh\n" + "\n".join(examples) + "\n```\n"


def _row(name: str, parameter: TyperArgument | TyperOption) -> str:
    facts = []
    if parameter.required and isinstance(parameter, TyperOption):
        facts.append("Required.")
    default = parameter.default
    is_flag = isinstance(parameter, TyperOption) and parameter.is_flag
    if default is not None and not is_flag and not parameter.required:
        facts.append(f"Default: {default}.")
    return f"| {name} | {_escaped(' '.join([parameter.help or '', *facts]))} |"


def _value(option: TyperOption) -> str:
    if option.is_flag:
        return ""
    if option.metavar:
        return option.metavar
    return "/".join(map(str, option.type_descriptor.choices or ()))


def _escaped(text: str) -> str:
    """Return text whose characters Markdown shows as they are."""
    return (
        text.replace("|", "\\|").replace("<", "&lt;").replace("*.", "\\*.").replace("_*", "\\_\\*")
    )


if __name__ == "__main__":
    TARGET.write_text(reference())
