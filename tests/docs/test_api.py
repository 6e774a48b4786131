"""docs/api.md is what the docstrings say, and they say what every parameter is."""

import inspect
import re
import runpy

import pytest

import pairdex
from places import ROOT

CLASSES = ("Client", "Collection", "Hits", "Neighbours", "Query", "Term")


def functions():
    for name in pairdex.__all__:
        value = getattr(pairdex, name)
        if inspect.isfunction(value):
            yield name, value
    for name in CLASSES:
        for member, value in inspect.getmembers(getattr(pairdex, name), callable):
            if not member.startswith("_"):
                yield f"{name}.{member}", value


def test_the_page_is_what_the_docstrings_say():
    written = runpy.run_path(str(ROOT / "tools" / "api_reference.py"))["page"]()
    assert (ROOT / "docs" / "api.md").read_text() == written, "run python tools/api_reference.py"


@pytest.mark.parametrize(("name", "function"), list(functions()))
def test_every_parameter_is_described(name, function):
    text = inspect.getdoc(function)
    listed = re.findall(r"^[\w*, ]+$", text, re.MULTILINE)
    described = {each.strip(" *") for line in listed for each in line.split(",")}
    described |= set(re.findall(r"`(\w+)[^`]*`", text))  # in a sentence
    parameters = set(inspect.signature(function).parameters) - {"self"}
    assert parameters - described == set(), name
