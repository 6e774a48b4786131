"""Counts, times and sizes: the right unit and number, and no count that is written without them."""

import ast
import re

import numpy as np
import pytest

from pairdex.wording import counted, duration, size
from places import ROOT

# Nouns of what can be one; bytes, characters and the like are limits, and never one.
NOUNS = "rows|parts|queries|pictures|files|lists|hits|points|samples|neighbours"
COUNT = re.compile(rf"\b1 ((image|text) )?({NOUNS})\b")


@pytest.mark.parametrize(
    ("count", "noun", "shown"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2_000, "row", "2,000 rows"),
        (1, "image query", "1 image query"),
        (2, "image query", "2 image queries"),
        (3, "batch", "3 batches"),
        (2, "key", "2 keys"),
    ],
)
def test_counts_agree_with_their_noun(count, noun, shown):
    assert counted(count, noun) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (9.82e-5, "98 µs"),
        (1.21e-3, "1.2 ms"),
        (0.024, "24 ms"),
        (0.34, "340 ms"),
        (1, "1.0 s"),
        (3.21, "3.2 s"),
        (59.6, "59.6 s"),
        (60, "1 min 0 s"),
        (125.4, "2 min 5 s"),
        (3599.7, "1 h 0 min"),
        (3780, "1 h 3 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_times_are_written_as_people_write_them(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (1_234_567, "1.2 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_are_written_as_people_write_them(count, shown):
    assert size(count) == shown


NEVER_ONE = {  # counts of which 1 is not an error, or is written with a multiplication
    ("index.py", "m"),
    ("index.py", "store.rows"),
    ("load.py", "report.rows_per_second"),
    ("build_notes.py", "part.zero_run"),
    ("neighbours.py", "n_queries"),
    ("neighbours.py", "n_queries * k"),
    ("parameters.py", "rows"),
    ("pca.py", "found.rows"),
    ("rotations.py", "found.rows"),
    ("vectors.py", "rows"),
}


def pieces(path):
    """The numbers with thousands separators in a module, each with the text after it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                form = value.format_spec
                if form is not None and "," in ast.unparse(form):
                    yield value, str(after.value)


def is_limit(value):
    """Whether a number is a constant, or computed from one: hardly 1."""
    names = {node.id for node in ast.walk(value.value) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(value.value) if isinstance(node, ast.Attribute)}
    return any(name.isupper() for name in names)


def test_no_message_writes_a_count_and_a_plural_by_hand():
    found = []
    for path in sorted((ROOT / "src" / "pairdex").rglob("*.py")):
        for value, after in pieces(path):
            count = ast.unparse(value.value)
            is_known = is_limit(value) or (path.name, count) in NEVER_ONE
            if re.match(rf" ((image|text) )?({NOUNS})\b", after) and not is_known:
                found.append(f"{path.name}:{value.lineno}: {count}{after}")
    assert found == []


def test_no_command_says_1_rows(run, write_part, build, tmp_path):
    vectors = np.eye(1, 4, dtype=np.float16)
    (tmp_path / "parts").mkdir()
    write_part(tmp_path / "parts", 0, vectors, vectors, {"url": ["u"], "caption": ["a car"]})
    place = tmp_path / "c"
    np.save(tmp_path / "q.npy", vectors.astype(np.float32))
    said = []
    for command in (
        ("build", tmp_path / "parts", place),
        ("info", place),
        ("search", place, "--like", 0),
        ("search", place, "--keywords", "car", "--explain"),
        ("search", place, "--vectors", tmp_path / "q.npy", "-k", 1, "--explain"),
        ("search", place, "--vectors", tmp_path / "q.npy", "-k", 1, "--out", tmp_path / "r.h5"),
        ("sql", place, "SELECT url FROM pairs"),
        ("sql", place, "SELECT url FROM pairs", "--out", tmp_path / "rows.csv"),
        ("subset", place, tmp_path / "new"),
        ("dedup", place, tmp_path / "other"),
        ("export", place, tmp_path / "out", "--format", "tsv"),
        ("verify", place),
    ):
        shown = run(*command)
        assert shown.status == 0, shown.err
        said.append(shown.out + shown.err)
    assert not COUNT.search("\n".join(said))
    assert "1 of 1 row in " in said[3]


def test_no_help_says_1_rows(run):
    from pairdex.cli.commands import COMMANDS

    for entry in COMMANDS:
        assert not COUNT.search(run(*entry.name.split(), "--help").out)
