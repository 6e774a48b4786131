"""How the help of commands is shown: every character of the text, no types for flags, examples last."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

__all__ = ["HelpfulCommand", "HelpfulGroup", "examples", "flowing"]

_BRACES = str.maketrans("", "", "{}")  # the library's, around what is required
_Shown = TypeVar("_Shown", TyperCommand, TyperGroup)


def examples(lines: Sequence[str]) -> str:
    """Return the block of examples that ends the help of a command."""
    heading = "Examples" if len(lines) > 1 else "Example"
    return "\n".join([f" {heading}:", *(f"   {line}" for line in lines)])


def flowing(text: str) -> str:
    r"""Return paragraphs without the line breaks of the source, so that they fill any terminal.

    Examples
    --------
    >>> flowing("One\ntwo.\n\nThree.")
    'One two.\n\nThree.'
    """
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


class HelpfulCommand(TyperCommand):
    """A command whose help shows brackets and wraps its paragraphs."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401, D102
        pieces = [p.translate(_BRACES) for p in TyperCommand.collect_usage_pieces(self, ctx)]
        # RESULTS... GOLD says itself what is repeated.
        return [piece.removesuffix("...") if " " in piece else piece for piece in pieces]

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, D102
        TyperCommand.format_help(_as_shown(self, ctx), ctx, formatter)
        _print_epilog(self)


class HelpfulGroup(TyperGroup):
    """A group of commands whose help shows brackets and wraps its paragraphs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, D102
        TyperGroup.format_help(_as_shown(self, ctx), ctx, formatter)
        _print_epilog(self)


def _as_shown(command: _Shown, context: Any) -> _Shown:  # noqa: ANN401 - of a private module
    """Return a copy of a command to render: the renderer reads square brackets as markup."""
    from rich.markup import escape  # noqa: PLC0415 - only help needs it

    shown = copy(command)
    shown.help = escape(flowing(command.help or ""))
    shown.epilog = None  # it would lose its indentation
    shown.params = [copy(parameter) for parameter in command.get_params(context)]
    shown.add_help_option = False  # it is among the parameters now
    for parameter in shown.params:
        assert isinstance(parameter, (TyperArgument, TyperOption))
        parameter.help = escape(parameter.help or "")
        if isinstance(parameter, TyperArgument) or parameter.is_flag:
            # Its name or its presence says enough: no <path>, no <bool>.
            setattr(parameter, "display_type_rich", lambda ctx: "")  # noqa: ARG005, B010
    panels = [getattr(parameter, "rich_help_panel", None) for parameter in command.params]
    setattr(shown.params[-1], "rich_help_panel", panels[-1] if panels else None)  # noqa: B010 - --help
    return shown


def _print_epilog(command: TyperCommand | TyperGroup) -> None:
    """Print the examples as they are, so that they can be copied whole."""
    if command.epilog:
        typer.echo(f"{command.epilog}")
