"""`encode_text` and `encode_image` in ClickHouse's own queries: every row answered, and its own answer."""

import io
import re
import shlex
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import pairdex
from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.load import load_collection
from pairdex.clickhouse.udf import write_functions
from pairdex.clickhouse.udf_process import serve_rows
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.model import load_model
from pairdex.errors import InvalidArgument, MissingFile
from places import DOCS as DOCS_FOLDER

DOCS = (DOCS_FOLDER / "clickhouse.md").read_text()
ODD = [
    "it's",
    'a "red" car',
    "a\tred\ncar\r",
    "back\\slash \\n",
    "\\N",
    "",
    "ünï 漢字 🚗",
    "x" * 300,
]


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A folder whose Python start-up file prints, as some libraries do."""
    folder = tmp_path_factory.mktemp("noisy")
    lines = "import sys\nif 'pairdex.clickhouse.udf_process' in sys.orig_argv: print('banner 1 2 3', flush=True)\n"
    (folder / "sitecustomize.py").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def server(clickhouse_server, drawn, noisy, tmp_path_factory):
    """A server with the functions of the demo model, in an environment where things print."""
    folder = tmp_path_factory.mktemp("functions")
    write_functions(folder, model="demo", pictures=drawn.parent / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(noisy))
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        return clickhouse_server("--udf", str(folder))


@pytest.fixture(scope="module")
def encoder():
    return Encoder(load_model("demo"))


def test_odd_texts_are_encoded_as_they_are(server, clickhouse_query, encoder):
    for text, expected in zip(ODD, encoder.encode_captions(ODD), strict=True):
        found = clickhouse_query(server, "SELECT encode_text({text:String})", text=text)[0][0]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_many_rows_are_answered_each_with_its_own_vector(server, clickhouse_query, encoder):
    rows = clickhouse_query(
        server,
        "SELECT n, v[1], length(v) FROM (SELECT number AS n, encode_text(concat('a ', "
        "['red', 'blue', 'green'][n % 3 + 1], ' car ', toString(n % 100))) AS v FROM numbers(20000)) ORDER BY n",
    )
    texts = [f"a {('red', 'blue', 'green')[n % 3]} car {n % 100}" for n in range(300)]
    first = encoder.encode_captions(texts)[:, 0]
    assert [row[0] for row in rows] == list(range(20_000))
    assert {row[2] for row in rows} == {64}
    np.testing.assert_allclose([row[1] for row in rows], np.resize(first, 20_000), atol=1e-6)


def test_a_bad_row_gives_an_empty_array_and_harms_no_other(server, clickhouse_query, drawn):
    names = [
        "00003.jpg",
        "missing.jpg",
        "",
        "../collection/collection.json",
        "/etc/passwd",
        "00003.jpg",
    ]
    found = clickhouse_query(
        server,
        "SELECT encode_image(name) FROM (SELECT arrayJoin({names:Array(String)}) AS name)",
        names=names,
    )
    assert [len(row[0]) for row in found] == [64, 0, 0, 0, 0, 64]
    stored = pairdex.open(drawn).vectors("image")[3].astype(np.float32)
    np.testing.assert_allclose(found[0][0], stored, atol=1e-3)
    assert found[0] == found[5]
    assert clickhouse_query(server, "SELECT encode_text(unhex('ff00'))") == [([],)]


def test_a_process_that_is_killed_is_replaced(server, clickhouse_query, drawn):
    from clickhouse_connect.driver.exceptions import DatabaseError

    sql, pictures = "SELECT encode_image('00003.jpg')", drawn.parent / "pictures"
    first = clickhouse_query(server, sql)
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout
    # Of this server: others may run the same functions.
    pids = [line.split()[0] for line in listed.splitlines() if str(pictures) in line]
    assert pids
    subprocess.run(["kill", "-9", *pids], check=True)
    for _ in range(3):  # the first may meet the dead process
        try:
            again = clickhouse_query(server, sql)
            break
        except DatabaseError as error:
            assert "Code: " in str(error)  # noqa: PT017
    assert again == first


def test_the_tutorials_query_finds_what_pairdex_finds(server, clickhouse_query, drawn):
    load_collection(drawn, Place(urls=(server,)))
    found = clickhouse_query(
        server,
        "SELECT url FROM laion ORDER BY cosineDistance(image_embedding, encode_text('a red car')) LIMIT 10",
    )
    expected = pairdex.open(drawn).search(text="a red car", hybrid=False)["image_path"].to_pylist()
    assert [row[0] for row in found] == expected


def test_the_example_of_the_docs_runs_as_it_stands(drawn, tmp_path, clickhouse_server):
    (tmp_path / "collection").symlink_to(drawn)
    section = DOCS.split("## Functions\n", 1)[1]
    commands = re.search(r"```\n(.*?)```", section, re.S)[1]
    for line in commands.splitlines():
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line, comments=True)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    code = re.search(r"```python\n(.*?)```", section, re.S)[1]
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    expected = pairdex.open(drawn).search(text="a red car", hybrid=False)["image_path"].to_pylist()
    assert printed.split() == expected


# --- the files and the protocol ---


def test_the_description_allows_for_a_slow_start_and_a_small_pool(tmp_path):
    report = write_functions(tmp_path / "fns", model="demo", pool=2)
    assert sorted(path.name for path in (tmp_path / "fns").iterdir()) == sorted(report.files)
    for name in ("udf_config.xml", "pairdex_function.xml"):
        functions = ElementTree.parse(tmp_path / "fns" / name).findall("function")
        for function in functions:
            facts = {child.tag: child.text for child in function}
            assert facts["type"] == "executable_pool"
            assert facts["pool_size"] == "2"
            assert facts["send_chunk_header"] == "1"
            assert int(facts["command_read_timeout"]) >= 60_000
            assert (tmp_path / "fns" / facts["command"]).stat().st_mode & 0o111
        assert [function.findtext("name") for function in functions] == [
            "encode_text",
            "encode_image",
        ]


def test_what_cannot_be_written_is_said_and_nothing_is_written(tmp_path, run):
    with pytest.raises(MissingFile, match="the model nothing does not exist"):
        write_functions(tmp_path / "fns", model="nothing")
    with pytest.raises(InvalidArgument, match="the pool is 0, expected 1 to 64"):
        write_functions(tmp_path / "fns", pool=0)
    with pytest.raises(MissingFile, match="is not a folder; expected one of pictures"):
        write_functions(tmp_path / "fns", pictures=tmp_path / "none")
    assert not (tmp_path / "fns").exists()
    done = run("clickhouse", "udf", tmp_path / "fns", "--json").json
    assert (done["model"], done["dim"]) == ("demo", 64)


def test_long_rows_and_long_vectors_have_lengths_of_several_bytes():
    sent = b"2\n" + b"\xac\x02" + b"a" * 300 + b"\x00" + b"1\n" + b"\x01b"
    got = []

    def encode(rows):
        got.extend(rows)
        return [np.ones(200, np.float32) if row else None for row in rows], ["odd"] * 0

    answers = io.BytesIO()
    serve_rows(io.BytesIO(sent), answers, encode, batch=1)
    assert got == [b"a" * 300, b"", b"b"]
    vector = b"\xc8\x01" + np.ones(200, "<f4").tobytes()
    assert answers.getvalue() == vector + b"\x00" + vector


def test_complaints_of_many_rows_are_few_lines(capsys):
    def encode(rows):
        return [None] * len(rows), [f"row {row!r} is bad" for row in rows]

    serve_rows(io.BytesIO(b"1000\n" + b"\x01x" * 1000), io.BytesIO(), encode, batch=7)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 6
    assert said[-1] == "pairdex: and 995 more rows"


def test_a_model_that_has_gone_ends_the_process_with_one_line():
    ended = subprocess.run(
        [sys.executable, "-m", "pairdex.clickhouse.udf_process", "text", "/nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("pairdex: the model /nowhere does not exist")
    assert len(ended.stderr.splitlines()) == 1
