"""The commands of the program, in one table; the module of a command is imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from pairdex.cli.help import HelpfulCommand, HelpfulGroup, examples
from pairdex.cli.interrupts import ending_at_once
from pairdex.errors import InvalidArgument
from pairdex.version import __version__

__all__ = ["COMMANDS", "GROUPS", "Entry", "load", "program"]

_SETTINGS = {"help_option_names": ["--help", "-h"]}


@dataclass(frozen=True)
class Entry:
    """A command: the words that call it, its panel in `pairdex --help`, and its line there.

    `cli/clickhouse/load.py` is the module of `clickhouse load`: it has a function `command`, whose
    docstring begins with `help`, and `EXAMPLES`, the lines that end its help. Where the options are
    many, `PANELS` names the groups in which its help lists them.
    """

    name: str
    panel: str
    help: str

    @property
    def module(self) -> str:
        """The module that holds the command."""
        return f"pairdex.cli.{self.name.replace(' ', '.')}"


_SEARCH, _COLLECT, _CURATE = "Search", "Make a collection", "Curate"
_REFERENCE, _EXPORT, _MODELS = "Evaluate", "Export", "Models"
_SHARE = "Share"

COMMANDS = (
    Entry("demo", _SEARCH, "Make a small collection from drawn pictures, search it and serve it."),
    Entry("search", _SEARCH, "Find the rows nearest to a text, a picture, a row or vectors."),
    Entry("index", _SEARCH, "Build or update the approximate index, and measure its recall."),
    Entry("serve", _SEARCH, "Serve collections as a web page and a REST API."),
    Entry("atlas", _SEARCH, "Compute the map of a collection that the page shows."),
    Entry("photos", _COLLECT, "Search your own pictures: encode, build and serve them."),
    Entry("releases", _COLLECT, "List the known releases, or the files of one release."),
    Entry("fetch", _COLLECT, "Download files of a release and verify them."),
    Entry("encode", _COLLECT, "Encode pictures and captions into parts."),
    Entry("build", _COLLECT, "Build a collection from parts, or add parts to one."),
    Entry("info", _COLLECT, "Show what a collection holds and where it came from."),
    Entry("verify", _COLLECT, "Read every file of a collection and compare its checksum."),
    Entry("sql", _CURATE, "Query the metadata of a collection with SQL."),
    Entry("score", _CURATE, "Add scores for safety and aesthetics as metadata columns."),
    Entry("subset", _CURATE, "Make a new collection from some rows of another."),
    Entry("shard", _CURATE, "Divide a collection into shards, or join collections as shards."),
    Entry("dedup", _CURATE, "Make a new collection without near-duplicates."),
    Entry("pairs", _CURATE, "Find all pairs of rows within a distance, exactly."),
    Entry("remove", _CURATE, "Remove rows from searches, pages and exports."),
    Entry("queries", _REFERENCE, "Draw random query vectors from a collection."),
    Entry("gold", _REFERENCE, "Compute the exact nearest rows of queries: a gold standard."),
    Entry("graph", _REFERENCE, "Compute the k nearest rows of every row, without the row itself."),
    Entry("project", _REFERENCE, "Project all vectors to PCA coordinates or binary sketches."),
    Entry("evaluate", _REFERENCE, "Compare result files with a gold standard: recall and speed."),
    Entry("bench", _REFERENCE, "Measure the recall and speed of each way to search a collection."),
    Entry("push", _SHARE, "Publish a collection with its indexes at an address."),
    Entry("pull", _SHARE, "Fetch a published collection with its indexes."),
    Entry("export", _EXPORT, "Export a collection in the format of another tool."),
    Entry("clickhouse load", _EXPORT, "Load a collection into a ClickHouse table."),
    Entry("clickhouse search", _EXPORT, "Search a loaded table."),
    Entry("clickhouse report", _EXPORT, "Compare ClickHouse's recall and speed with pairdex's."),
    Entry(
        "clickhouse udf", _EXPORT, "Write functions that encode text and pictures in ClickHouse."
    ),
    Entry("model fetch", _MODELS, "Fetch a published model, verify it and convert it."),
    Entry("model export", _MODELS, "Convert a published model into a model folder."),
    Entry("model set", _MODELS, "Record which model made a collection's vectors."),
    Entry(
        "model verify", _MODELS, "Check that a model is the one that made a collection's vectors."
    ),
)
GROUPS = {
    "clickhouse": "Load, index and search collections in ClickHouse.",
    "model": "Fetch and convert models, and check collections against them.",
}


def program() -> TyperGroup:
    """Return the program: every command under its name, none of them imported."""
    app = typer.Typer(
        no_args_is_help=True, rich_markup_mode="rich", cls=HelpfulGroup, context_settings=_SETTINGS
    )
    app.callback(epilog=examples(("pairdex demo", "pairdex COMMAND --help")))(_options)
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for entry in COMMANDS:
        group, _, name = entry.name.rpartition(" ")
        if not group:
            root.add_command(LazyCommand(entry))
            continue
        if group not in root.commands:
            root.add_command(_group(group, entry.panel))
        within = root.commands[group]
        assert isinstance(within, TyperGroup)
        within.add_command(LazyCommand(entry), name)
    return root


def load(entry: Entry) -> TyperCommand:
    """Import the module of a command and return the command, with its options and help."""
    with ending_at_once():
        module = import_module(entry.module)
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    name = entry.name.rpartition(" ")[2]
    app.command(name, cls=_Command, epilog=examples(module.EXAMPLES))(module.command)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)
    _put_in_panels(command, getattr(module, "PANELS", {}))
    return command


def _put_in_panels(command: TyperCommand, panels: Mapping[str, str]) -> None:
    """Group the options of a command, in the order of the panels."""
    names = {option: panel for panel, options in panels.items() for option in options.split()}
    for parameter in command.params:
        if isinstance(parameter, TyperOption):
            parameter.rich_help_panel = names.get(parameter.name)
    order = list(names)
    command.params.sort(key=lambda p: order.index(p.name) if p.name in names else -1)


class _Command(HelpfulCommand):
    """A command that imports the libraries of the store when it runs, not for its help."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Import NumPy, PyArrow and DuckDB while Ctrl-C ends the program at once, then run."""
        with ending_at_once():
            import_module("pairdex.store.store")
        from pairdex.cli.announcing import showing_fetches  # noqa: PLC0415 - not for help

        try:
            with showing_fetches():
                return super().invoke(ctx)
        except InvalidArgument as error:
            from pairdex.cli.option_names import in_options, option_names  # noqa: PLC0415 - as above

            error.args = (in_options(str(error), option_names(self.params)), *error.args[1:])
            raise


class LazyCommand(TyperCommand):
    """A command in the list of the program; it is imported when it is called or completed."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(
            entry.name.rpartition(" ")[2], help=entry.help, rich_help_panel=entry.panel
        )
        self._entry = entry

    def make_context(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Parse the arguments as the command itself does; its context runs the command."""
        return load(self._entry).make_context(*arguments, **options)


def _group(name: str, panel: str) -> TyperGroup:
    app = typer.Typer(
        name=name,
        no_args_is_help=True,
        rich_markup_mode="rich",
        cls=HelpfulGroup,
        add_completion=False,
    )
    app.callback(help=GROUPS[name])(lambda: None)
    group = typer.main.get_group(app)
    group.rich_help_panel = panel
    return group


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pairdex {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Build, search and serve collections of image-text embeddings."""
