"""Write docs/api.md from the docstrings of the public names: `python tools/api_reference.py`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pairdex

PAGE = Path(__file__).parent.parent / "docs" / "api.md"

HEAD = """# Python API

`import pairdex` gives the names below and nothing else. Wherever a function takes a collection, it takes the path of
its folder or an opened `Collection`. Paths are `str` or `Path`. A wrong argument raises `pairdex.PairdexError`, and the
error's `field` names the argument. `python tools/api_reference.py` writes this page from the docstrings.
"""

LINE = 88  # characters of code that fit beside a table of contents

CLASSES = (
    "Collection",
    "Hits",
    "Neighbours",
    "Query",
    "Term",
    "ProgressBar",
    "Client",
    "AsyncClient",
)


def page() -> str:
    """Return the text of the page."""
    names = [name for name in pairdex.__all__ if name not in (*CLASSES, "__version__")]
    functions = [name for name in names if not inspect.isclass(getattr(pairdex, name))]
    sections = [HEAD, "## Functions\n"]
    sections += [_function(f"pairdex.{name}", getattr(pairdex, name)) for name in functions]
    sections.append("## Classes\n")
    for name in (*CLASSES, "PairdexError"):
        sections += _class(name, getattr(pairdex, name))
    return "\n".join(sections)


def _class(name: str, cls: type) -> list[str]:
    sections = [f"### `pairdex.{name}`\n\n{_text(cls)}\n"]
    for member in dir(cls):
        value = inspect.getattr_static(cls, member)
        if member.startswith("_") or not inspect.getdoc(getattr(cls, member)):
            continue
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            sections.append(f"#### `{name}.{member}`\n\n{_text(value)}\n")
        elif callable(getattr(cls, member)) and issubclass(cls, Exception) is False:
            sections.append(_function(f"{name}.{member}", getattr(cls, member), "####"))
    return sections


def _function(name: str, function: object, mark: str = "###") -> str:
    assert callable(function), name
    signature = inspect.signature(function)
    shown = []
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        text = each.name
        if each.kind is each.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        if each.kind is each.VAR_KEYWORD:
            text = f"**{each.name}"
        if each.default is not each.empty:
            text += f"={each.default!r}"
        shown.append(text)
    return f"{mark} `{name}`\n\n```python\n{_call(name, shown)}\n```\n\n{_text(function)}\n"


def _call(name: str, parameters: list[str]) -> str:
    """Return a signature on one line, or with one parameter per line if it is long."""
    line = f"{name}({', '.join(parameters)})"
    if len(line) <= LINE:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in parameters) + ")"


def _text(value: object) -> str:
    """Return a docstring as Markdown: its sections as lists."""
    lines = (inspect.getdoc(value) or "").splitlines()
    out: list[str] = []
    is_listed = False  # whether names come next, as in Parameters
    for number, line in enumerate(lines):
        if re.fullmatch(r"-{3,}", line):
            continue
        if re.fullmatch(r"-{3,}", (lines[number + 1 :] or [""])[0]):
            out.append(f"**{line}**\n")
            is_listed = line not in ("Examples", "Notes")
        elif line and is_listed and not line.startswith(" "):
            out.append(f"- `{line}`")
        else:
            out.append(line.replace("    ", "  ", 1) if line.startswith("    ") else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


if __name__ == "__main__":
    PAGE.write_text(page())
