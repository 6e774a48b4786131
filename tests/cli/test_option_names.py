"""Errors of commands name options, not the arguments of Python."""

import pytest
from typer.core import TyperOption

from pairdex.cli.commands import COMMANDS, load
from pairdex.cli.option_names import in_options, option_names

BY_NAME = pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)


@BY_NAME
def test_every_option_of_every_command_is_named_as_people_write_it(entry):
    command = load(entry)
    names = option_names(command.params)
    for parameter in command.params:
        written = names[parameter.name]
        assert (
            in_options(f"{parameter.name} is 0, expected 1", names) == f"{written} is 0, expected 1"
        )
        if isinstance(parameter, TyperOption):
            assert written in parameter.opts
            dashed = parameter.name.replace("_", "-")
            assert in_options(f"omit {dashed}", names) == f"omit {written}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search"], "--like, --vectors and --term, or --keywords, --where or --sort alone"),
        (["search", "--like", 1, "-k", 0], "-k is 0, expected"),
        (["search", "--like", 1, "--sort", "url"], "--sort is for searches without a query"),
        (["search", "--like", 1, "--descending"], "--descending needs --sort: name a column"),
        (["search", "--like", 1, "--fold", 7], "--fold is 7, expected"),
        (["search", "--like", 1, "--text", "a"], "got --text and --like"),
        (["pairs", "--within", 9, "--out", "p.parquet"], "--within is 9.0, expected"),
        (["pairs", "--within", 0.1, "--against-where", "id > 1", "--out", "p.parquet"], "--against"),
        (["remove", "--reason", "a"], "exactly one of --ids, --urls and --where, got none"),
        (["remove", "--reason", "", "--where", "true"], "--reason is empty"),
        (["project", "pca3", "--seed", 1], "pca3 has no option --seed"),
        (["project", "pca3", "--fit-rows", 0], "--fit-rows is 0, expected"),
        (["queries", "--out", "q.h5", "-n", 0], "-n is 0"),
        (["score"], "at least one of --nsfw and --aesthetic"),
        (["graph", "-k", 0, "--out", "g.h5"], "-k is 0, expected"),
    ],
)  # fmt: skip
def test_a_refused_call_names_its_options(collection, run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    assert said in run(command, collection, *options).complaint


def test_words_that_only_look_like_arguments_stay():
    names = {"text": "--text", "where": "--where", "k": "-k"}
    assert in_options("a gold standard needs k rows", names) == "a gold standard needs k rows"
    assert in_options("no text where it is", names) == "no text where it is"
    assert in_options("keep it", {}) == "keep it"
