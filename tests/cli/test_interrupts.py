"""Ctrl-C at any instant: one line, 130, nothing half-written, and the same command goes on."""

import os
import signal
import subprocess
import sys

import pytest

from pairdex.cli.commands import COMMANDS
from pairdex.cli.interrupts import INTERRUPTED, RESUMING, CtrlC, Interrupted

GOES_ON = "pairdex: interrupted; the same command goes on where it stopped\n"

# Runs the program, and sends itself Ctrl-C at the n-th import, opened or renamed file.
PRESSING = """
import os, signal, sys
at, seen = int(sys.argv.pop(1)), 0
def hook(event, arguments):
    global seen
    if event in ("import", "open", "os.rename"):
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGINT)
from pairdex.cli import main
sys.addaudithook(hook)
try:
    main()
finally:
    if not at:
        sys.stderr.write(str(seen))
"""
# Presses Ctrl-C inside a destructor, inside an import of a running command, or twice.
HARD = """
import os, signal, sys, time
from pairdex.cli import main
import pairdex.cli.info as info
import pairdex.cli.commands as commands
def press():
    os.kill(os.getpid(), signal.SIGINT)
class Dying:
    def __del__(self):
        press()
def command(collection: str) -> None:
    "Show."
    {body}
    time.sleep(5)
    sys.exit("it went on")
info.command = command
main()
"""
HARD_PLACES = {
    "a destructor": "Dying()",
    "an import that turns it into another error": "sys.path.insert(0, collection); import swallowing",
    "an error of a library": "\n    try:\n        press()\n        time.sleep(1)\n    except BaseException:\n        raise RuntimeError('of the library')",
}


def pressed(at, *arguments):
    return subprocess.run(
        [sys.executable, "-c", PRESSING, str(at), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_ctrl_c_anywhere_ends_with_one_line_and_the_same_command_goes_on(
    make_parts, tmp_path, tree, share
):
    source, whole, target = make_parts(20, 10), tmp_path / "whole" / "c", tmp_path / "pressed" / "c"
    events = pressed(0, "build", source, whole)
    assert events.returncode == 0, events.stderr
    ended = pressed(max(1, int(int(events.stderr) * share)), "build", source, target)
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", GOES_ON)
    assert not list(tmp_path.rglob("*.partial"))
    assert pressed(0, "build", source, target).returncode == 0
    assert tree(target) == tree(whole)


@pytest.mark.parametrize("place", HARD_PLACES)
def test_ctrl_c_is_not_lost_where_python_or_a_library_takes_its_exception(tmp_path, place):
    (tmp_path / "swallowing.py").write_text(
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)\n"
        "except BaseException as error:\n    raise ImportError('it failed') from error\n"
    )
    program = HARD.format(body=HARD_PLACES[place])
    ended = subprocess.run(
        [sys.executable, "-c", program, "info", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = (ended.returncode, ended.stdout, ended.stderr)
    assert said == (INTERRUPTED, "", "pairdex: interrupted\n")


def test_a_second_press_ends_the_program_at_once(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(os, "write", lambda place, line: ended.append((place, line)))
    ctrl_c = CtrlC(["model", "verify", "c"])
    with pytest.raises(Interrupted):
        ctrl_c.raise_interrupted(signal.SIGINT, None)
    with pytest.raises(Interrupted):
        ctrl_c.raise_interrupted(signal.SIGINT, None)
    assert ended == [(2, b"pairdex: interrupted\n"), INTERRUPTED]


def test_the_commands_that_go_on_are_commands():
    assert {entry.name for entry in COMMANDS} >= RESUMING


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 64.0 GiB for an array"), "Unable to allocate 64.0 GiB"),
        (MemoryError(), "one of unknown size"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
)
def test_too_little_memory_is_one_line_that_says_what_was_asked(run, monkeypatch, error, said):
    def fail(path):
        raise error

    monkeypatch.setattr("pairdex.info", fail)
    complaint = run("info", "c").complaint
    assert f"not enough memory: an allocation failed ({said}" in complaint
    assert "MB in use at most; free memory" in complaint
