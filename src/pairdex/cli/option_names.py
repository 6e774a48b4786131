"""Errors of the library in the words of a command: its options instead of Python's arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from typer.core import TyperArgument, TyperOption

__all__ = ["in_options", "option_names"]

# Arguments whose option has another name.
_RENAMED = {
    "vector": "vectors",
    "terms": "term",
    "hybrid": "no_keywords",
    "format": "form",
}
_VERBS = "is|are|has|have|needs|asks?|goes?|takes|cannot|holds|can"
# After these words, a message lists arguments.
_LISTS = "exactly one of|at least one of|leave out|omit|given without|name it with|has no option"


def option_names(parameters: Iterable[object]) -> dict[str, str]:
    """Return what people write for each argument of a command: `--where`, `-k`, `COLLECTION`."""
    names = {}
    for parameter in parameters:
        if isinstance(parameter, TyperOption):
            assert parameter.name is not None, "options have names"
            names[parameter.name] = max(parameter.opts, key=len)
        elif isinstance(parameter, TyperArgument):
            assert parameter.name is not None, "arguments have names"
            names[parameter.name] = (parameter.metavar or parameter.name.upper()).strip("[].")
    renamed = {name: names[own] for name, own in _RENAMED.items() if own in names}
    return renamed | names


def in_options(message: str, names: Mapping[str, str]) -> str:
    """Return an error message with options where it names arguments.

    Arguments are named at its beginning (`k is 0`), as `hybrid=False`, and in lists (`exactly one of`).

    Examples
    --------
    >>> in_options("sort goes without a query; leave out sort", {"sort": "--sort"})
    '--sort goes without a query; leave out --sort'
    """
    written = {name.replace("_", "-"): own for name, own in names.items()} | dict(names)

    def replaced(text: str, before: str, after: str, *, among: Iterable[str] = written) -> str:
        any_name = "|".join(sorted(map(re.escape, among), key=len, reverse=True))
        pattern = f"{before}({any_name}){after}"
        return re.sub(pattern, lambda found: written[found[1]], text) if any_name else text

    message = replaced(message, "^(?:the )?", rf"(?= (?:{_VERBS})\b)")
    message = replaced(message, r"\b", r"=\w+")
    message = replaced(message, r"(?<=\bneeds )", "(?=:)")
    start = re.search(rf"\b(?:{_LISTS})\b", message)
    if start is None:
        return message
    options = [name for name, own in written.items() if own.startswith("-")]
    listed = replaced(message[start.end() :], r"(?<![\w-])", r"(?![\w-])", among=options)
    return message[: start.end()] + listed
