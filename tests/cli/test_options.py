"""How the values of shared options are read."""

import pytest
import typer

from pairdex.cli.help import flowing
from pairdex.cli.options import read_numbers, read_parts, read_size


@pytest.mark.parametrize(
    ("text", "count"),
    [("7", 7), ("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), (" 2TB ", 2 * 10**12)],
)
def test_sizes_are_read_as_people_write_them(text, count):
    assert read_size(text) == count


@pytest.mark.parametrize("text", ["", "lots", "-4GB", "4 4GB"])
def test_what_is_not_a_size_is_wrong_usage(text):
    with pytest.raises(typer.BadParameter, match="is not a size, expected a value like 500MB"):
        read_size(text)


def test_parts_are_numbers_and_ranges():
    assert read_parts("0-3,12") == {0, 1, 2, 3, 12}


def test_a_descending_range_of_parts_is_wrong_usage():
    with pytest.raises(typer.BadParameter, match="the part range is '3-0', expected numbers"):
        read_parts("3-0")


def test_numbers_stand_between_commas():
    assert read_numbers("0.8,.9, 1") == [0.8, 0.9, 1.0]
    with pytest.raises(typer.BadParameter, match=r"'0.8;0.9' is not a list of numbers"):
        read_numbers("0.8;0.9")


def test_wrong_values_of_options_end_with_status_2_and_name_the_option(run):
    for arguments in (["build", "a", "b", "--parts", "x"], ["index", "a", "--memory", "x"]):
        shown = run(*arguments)
        assert (shown.status, shown.out) == (2, "")
        assert f"Invalid value for '{arguments[-2]}': " in shown.err


def test_help_text_flows_and_keeps_its_paragraphs():
    assert flowing("One\n    two.\n\n    Three.") == "One two.\n\nThree."
