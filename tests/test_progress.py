"""Progress: a bar for each step, in a notebook and on a terminal."""

import io
import sys

import pytest

import pairdex
from pairdex import progress as module
from pairdex.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def as_terminal(monkeypatch):
    """Make stderr a terminal; a fixture could not, because pytest replaces stderr before each test."""
    monkeypatch.setattr(module, "_is_notebook", lambda: False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def test_a_terminal_shows_a_line_for_each_step(monkeypatch):
    terminal = as_terminal(monkeypatch)
    bar = ProgressBar()
    for done in range(1001):
        bar("reading", done, 1000)
    bar("reading", 1000, 1000)
    bar("sorting", 3, 10)
    bar("writing", 0, 0)
    lines = terminal.getvalue().split("\n")
    assert [line.split("\r")[-1] for line in lines] == [
        "100% reading 1,000 of 1,000",
        " 30% sorting 3 of 10",
        "  0% writing 0 of 0",
        "",
    ]
    assert len(terminal.getvalue()) < 1000


def test_nothing_is_written_where_no_terminal_is(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    ProgressBar()("reading", 1, 2)
    assert sys.stderr.getvalue() == ""


def test_a_notebook_shows_a_bar_for_each_step_and_updates_it(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []

    class Handle:
        def __init__(self, page):
            shown.append([page.data])
            self.place = len(shown) - 1

        def update(self, page):
            shown[self.place].append(page.data)

    monkeypatch.setattr(module, "_is_notebook", lambda: True)
    monkeypatch.setattr(display, "display", lambda page, **_: Handle(page))
    bar = ProgressBar()
    for call in [("<b>", 0, 10), ("<b>", 10, 10), ("two", 0, 0)]:
        bar(*call)
    assert [pages[-1] for pages in shown] == [
        '<div><progress value="10" max="10"></progress> &lt;b&gt; 10 of 10</div>',
        '<div><progress value="0" max="1"></progress> two 0 of 0</div>',
    ]


def test_a_build_takes_the_bar(make_parts, tmp_path, monkeypatch):
    terminal = as_terminal(monkeypatch)
    pairdex.build(make_parts(30), tmp_path / "c", progress=pairdex.ProgressBar())
    assert "100%" in terminal.getvalue()


def test_ipython_shows_an_error_as_its_line(capsys):
    shells = pytest.importorskip("IPython.core.interactiveshell")
    shell = shells.InteractiveShell()
    shell.run_cell("import pairdex; pairdex.open('nowhere')")
    shown = capsys.readouterr().out.strip()
    assert shown.startswith("MissingFile: ")
    assert len(shown.splitlines()) == 1
