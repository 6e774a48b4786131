"""Loading a collection into ClickHouse: every row once and as it is, whatever happened on the way."""

import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

import pairdex
from pairdex.clickhouse import load as loading
from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.load import load_collection
from pairdex.errors import InvalidArgument, Mismatch

ODD = ["it's", 'a "quote"', "tab\there", "line\nbreak", "back\\slash", "null \\N", "ü 漢字 🚗", ""]


@pytest.fixture
def odd(make_parts, build, tmp_path):
    """A collection of 600 rows whose captions are what breaks CSV; some NSFW tags are NULL."""

    def columns(number, rows):
        return {
            "url": [f"https://example.org/{number}/{row}?a=1,2" for row in range(rows)],
            "caption": [ODD[row % len(ODD)] for row in range(rows)],
            "NSFW": [("UNLIKELY", None)[row % 2] for row in range(rows)],
            "similarity": pa.array([None if row % 3 == 0 else row / 1000 for row in range(rows)]),
            "width": pa.array(range(rows), pa.int32()),
        }

    build(make_parts(350, 250, columns=columns), tmp_path / "odd", nsfw="none")
    return tmp_path / "odd"


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 100 rows, so that small collections have several."""
    for module in ("load", "schema"):
        monkeypatch.setattr(f"pairdex.clickhouse.{module}.BLOCK_ROWS", 100)


def rows_of(query, url, table):
    return query(url, f"SELECT * FROM {table} ORDER BY id")


def test_every_row_arrives_once_with_its_caption_intact(odd, clickhouse_url, clickhouse_query, run):
    done = run(
        "clickhouse", "load", odd, "--url", clickhouse_url, "--table", "intact", "--json"
    ).json
    assert done["rows"] == 600
    assert done["seconds"] > 0
    assert done["rows_per_second"] == pytest.approx(600 / done["seconds"])
    collection = pairdex.open(odd)
    ids, urls, captions, tags, similarity, images, texts = zip(
        *rows_of(clickhouse_query, clickhouse_url, "intact"), strict=True
    )
    expected = collection.take(np.arange(600))
    assert ids == tuple(range(600))
    assert list(urls) == expected["url"].to_pylist()
    assert list(captions) == expected["caption"].to_pylist()
    assert list(tags) == [tag or "" for tag in expected["nsfw"].to_pylist()]
    assert np.isnan(similarity[0])
    assert similarity[1] == pytest.approx(0.001)
    np.testing.assert_array_equal(
        np.array(images), collection.vectors("image")[:].astype(np.float32)
    )
    np.testing.assert_array_equal(np.array(texts), collection.vectors("text")[:].astype(np.float32))


def test_the_table_is_the_tutorials(odd, clickhouse_url, clickhouse_query):
    load_collection(odd, Place(urls=(clickhouse_url,)), table="tutorial")
    assert clickhouse_query(
        clickhouse_url, "SELECT name, type FROM system.columns WHERE table = 'tutorial'"
    ) == [
        ("id", "Int64"),
        ("url", "String"),
        ("caption", "String"),
        ("NSFW", "String"),
        ("similarity", "Float32"),
        ("image_embedding", "Array(Float32)"),
        ("text_embedding", "Array(Float32)"),
    ]


def test_further_columns_and_bfloat16_are_there_when_asked_for(
    odd, clickhouse_url, clickhouse_query, run
):
    options = ("--url", clickhouse_url, "--table", "more", "--dtype", "bfloat16")
    run("clickhouse", "load", odd, *options, "--columns", "width,part")
    found = clickhouse_query(
        clickhouse_url,
        "SELECT id, width, part, toTypeName(image_embedding), "
        "arrayMap(x -> toFloat32(x), image_embedding) FROM more WHERE id = 355",
    )
    assert found[0][:4] == (355, 5, 1, "Array(BFloat16)")
    vector = pairdex.open(odd).vectors("image")[355].astype(np.float32)
    np.testing.assert_allclose(found[0][4], vector, rtol=2**-7)


def test_a_second_load_inserts_nothing_and_doubles_nothing(
    odd, clickhouse_url, clickhouse_query, small_blocks
):
    place = Place(urls=(clickhouse_url,))
    first = load_collection(odd, place, table="twice")
    second = load_collection(odd, place, table="twice")
    assert (first.inserted, second.inserted, second.rows) == (600, 0, 600)
    assert clickhouse_query(clickhouse_url, "SELECT count(), uniqExact(id) FROM twice") == [
        (600, 600)
    ]


def test_a_load_goes_on_behind_missing_partial_and_doubled_blocks(
    odd, clickhouse_url, clickhouse_query, small_blocks
):
    place = Place(urls=(clickhouse_url,))
    load_collection(odd, place, table="broken")
    before = rows_of(clickhouse_query, clickhouse_url, "broken")
    for damage in (
        "DELETE FROM broken WHERE id >= 100 AND id < 200",
        "DELETE FROM broken WHERE id >= 250 AND id < 260",
        "INSERT INTO broken SELECT * FROM broken WHERE id = 420",
    ):
        clickhouse_query(clickhouse_url, damage)
    report = load_collection(odd, place, table="broken")
    assert report.inserted == 300
    after = rows_of(clickhouse_query, clickhouse_url, "broken")
    assert [row[0] for row in after] == list(range(600))
    assert [row[2] for row in after] == [row[2] for row in before]


def test_rows_of_parts_that_were_added_later_are_added(
    make_parts, build, tmp_path, clickhouse_url, clickhouse_query, small_blocks
):
    place = Place(urls=(clickhouse_url,))
    build(make_parts(150), tmp_path / "grows", nsfw="none")
    load_collection(tmp_path / "grows", place, table="grows")
    build(make_parts(70, numbers=[1]), tmp_path / "grows", nsfw="none")
    report = load_collection(tmp_path / "grows", place, table="grows")
    assert (report.rows, report.inserted) == (220, 120)  # the block of 50 rows comes again, whole
    assert clickhouse_query(clickhouse_url, "SELECT count(), uniqExact(id) FROM grows") == [
        (220, 220)
    ]


def test_removed_rows_do_not_go_in_and_later_ones_are_deleted(
    odd, clickhouse_url, clickhouse_query, small_blocks
):
    place = Place(urls=(clickhouse_url,))
    pairdex.remove(odd, ids=[3, 250], reason="asked to")
    first = load_collection(odd, place, table="removed")
    assert (first.rows, first.inserted) == (598, 598)
    pairdex.remove(odd, ids=[4, 251, 599], reason="asked to")
    second = load_collection(odd, place, table="removed")
    assert (second.rows, second.inserted, second.deleted) == (595, 0, 3)
    ids = [row[0] for row in clickhouse_query(clickhouse_url, "SELECT id FROM removed ORDER BY id")]
    assert ids == sorted(set(range(600)) - {3, 4, 250, 251, 599})


def test_two_servers_are_two_shards(
    odd, clickhouse_url, clickhouse_server, clickhouse_query, small_blocks
):
    other = clickhouse_server()
    place = Place(urls=(clickhouse_url, other))
    load_collection(odd, place, table="shared")
    shares = [
        [row[0] for row in clickhouse_query(url, "SELECT id FROM shared ORDER BY id")]
        for url in place.urls
    ]
    assert shares[0] == [i for i in range(600) if i // 100 % 2 == 0]
    assert shares[1] == [i for i in range(600) if i // 100 % 2 == 1]
    with pytest.raises(Mismatch, match="holds other rows"):
        load_collection(odd, Place(urls=(other, clickhouse_url)), table="shared")


def test_a_cluster_gets_local_tables_and_a_distributed_one(
    odd, clickhouse_server, clickhouse_query, small_blocks, run
):
    url = clickhouse_server("--cluster", "shop")
    options = ("--url", url, "--cluster", "shop")
    assert run("clickhouse", "load", odd, *options, "--json").json["inserted"] == 600
    pairdex.remove(odd, ids=[7], reason="asked to")
    assert run("clickhouse", "load", odd, *options, "--json").json["deleted"] == 1
    engines = dict(
        clickhouse_query(url, "SELECT name, engine FROM system.tables WHERE name LIKE 'laion%'")
    )
    assert engines == {"laion": "Distributed", "laion_local": "MergeTree"}
    assert clickhouse_query(url, "SELECT count(), uniqExact(id) FROM laion") == [(599, 599)]


# --- what can be wrong ---


def test_a_table_with_other_columns_is_left_alone(odd, clickhouse_url, clickhouse_query, run):
    clickhouse_query(
        clickhouse_url, "CREATE TABLE other (id Int64, name String) ENGINE = MergeTree ORDER BY id"
    )
    said = run("clickhouse", "load", odd, "--url", clickhouse_url, "--table", "other").complaint
    assert "the table other" in said
    assert "got name String, expected id Int64, url String" in said


def test_a_table_of_another_collection_is_left_alone(odd, collection, clickhouse_url, run):
    place = Place(urls=(clickhouse_url,))
    load_collection(odd, place, table="theirs")
    said = run(
        "clickhouse", "load", collection, "--url", clickhouse_url, "--table", "theirs"
    ).complaint
    assert "holds other rows than those of" in said


def test_a_wrong_password_is_said_in_one_line(odd, clickhouse_server, run, tmp_path):
    url = clickhouse_server("--user", "ann", "--password", "secret")
    said = run(
        "clickhouse", "load", odd, "--url", url, "--user", "ann", "--password", "no"
    ).complaint
    assert said == f"ClickHouse at {url} refuses the user ann: check --user and --password-file"
    (tmp_path / "password").write_text("secret\n")
    options = ("--url", url, "--user", "ann", "--password-file", tmp_path / "password")
    assert run("clickhouse", "load", odd, *options).status == 0


def test_a_server_that_is_down_is_said_in_one_line(odd, run):
    said = run("clickhouse", "load", odd, "--url", "http://127.0.0.1:9").complaint
    assert said.startswith("ClickHouse at http://127.0.0.1:9 does not answer: ")
    assert said.endswith("is it running?")


def test_a_certificate_is_checked_against_the_given_authority(
    odd, clickhouse_server, run, tmp_path
):
    pem = tmp_path / "own.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    made += ["-addext", "subjectAltName=IP:127.0.0.1"]
    made += ["-keyout", pem, "-out", tmp_path / "cert.pem"]
    subprocess.run(made, check=True, capture_output=True)
    certificate = (tmp_path / "cert.pem").read_text()
    pem.write_text(pem.read_text() + certificate)
    url = clickhouse_server("--tls", str(pem))
    load = ("clickhouse", "load", odd, "--url", url)
    assert "certificate verify failed" in run(*load).complaint
    assert run(*load, "--ca-cert", tmp_path / "cert.pem").status == 0
    assert run(*load, "--no-verify").status == 0


def test_a_full_disk_is_said_and_the_load_goes_on_later(
    odd, clickhouse_url, clickhouse_query, small_blocks, monkeypatch
):
    place = Place(urls=(clickhouse_url,))
    # The engine's own check of free space, asked for more than any disk has.
    full = {"min_free_disk_bytes_to_perform_insert": 1 << 60}
    monkeypatch.setattr(loading, "_ONE_PART", loading._ONE_PART | full)
    with pytest.raises(pairdex.PairdexError, match=r"has no room: .*free space and run"):
        load_collection(odd, place, table="full")
    monkeypatch.undo()
    load_collection(odd, place, table="full")
    assert clickhouse_query(clickhouse_url, "SELECT count(), uniqExact(id) FROM full") == [
        (600, 600)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "a; DROP TABLE x"}, "expected letters, digits and _"),
        ({"cluster": "a b"}, "the cluster is called 'a b'"),
        ({"columns": ("nothing",)}, "has no further column nothing; it has"),
    ],
)
def test_names_that_cannot_be_are_refused(odd, clickhouse_url, options, message):
    with pytest.raises(InvalidArgument, match=message):
        load_collection(odd, Place(urls=(clickhouse_url,)), **options)


@pytest.mark.parametrize(
    "url", ["localhost:8123", "ftp://x", "http://a:b@localhost", "http://x:99999"]
)
def test_an_address_that_is_none_is_refused(odd, url):
    with pytest.raises(InvalidArgument):
        load_collection(odd, Place(urls=(url,)))


@pytest.mark.parametrize("place", ["--url http://127.0.0.1:9", "--path db"])
def test_without_the_extra_the_line_that_installs_it_is_said(odd, run, monkeypatch, place):
    monkeypatch.chdir(odd.parent)
    for name in ("chdb", "clickhouse_connect"):
        monkeypatch.setitem(sys.modules, name, None)
    said = run("clickhouse", "load", odd, *place.split()).complaint
    assert said.endswith("pip install 'pairdex[clickhouse]'")
    assert not (odd.parent / "db").exists()


# --- the embedded engine, in processes of its own ---


def pairdex_process(*arguments, **options):
    command = [sys.executable, "-m", "pairdex", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


LOAD_SLOWLY = """
import sys, pairdex.clickhouse.load as loading
from pairdex.clickhouse.connection import Place
loading.BLOCK_ROWS = 20
insert = loading._Load._insert
def marked(self, *arguments, **named):
    insert(self, *arguments, **named)
    print(self.inserted, flush=True)
loading._Load._insert = marked
loading.load_collection(sys.argv[1], Place(path=loading.Path(sys.argv[2])))
"""


def test_an_embedded_load_that_was_killed_goes_on_and_doubles_nothing(
    odd, tmp_path, clickhouse_server
):
    db = tmp_path / "db"
    killed = subprocess.Popen(
        [sys.executable, "-c", LOAD_SLOWLY, odd, db], stdout=subprocess.PIPE, text=True
    )
    with killed:
        while int(killed.stdout.readline()) < 200:
            pass
        killed.send_signal(signal.SIGKILL)
    done, complaint = pairdex_process(
        "clickhouse", "load", odd, "--path", db, "--json"
    ).communicate()
    assert '"rows": 600' in done, complaint
    assert '"inserted": 600' in done  # other blocks than the first load's: all are written anew
    check = (
        "import chdb, sys; c = chdb.connect(sys.argv[1]);"
        "print(c.query('SELECT count(), uniqExact(id), sum(id) FROM laion'))"
    )
    counted = subprocess.run(
        [sys.executable, "-c", check, db], capture_output=True, text=True, check=True
    )
    assert counted.stdout.strip() == f"600,600,{sum(range(600))}"


def test_a_folder_in_use_and_a_folder_of_something_else_are_refused(
    odd, tmp_path, clickhouse_server
):
    holding = "import chdb, sys; c = chdb.connect(sys.argv[1]); c.query('SELECT 1'); print(1, flush=True); sys.stdin.read()"
    db = tmp_path / "db"
    with subprocess.Popen(
        [sys.executable, "-c", holding, db], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        refused = pairdex_process("clickhouse", "load", odd, "--path", db)
        _, complaint = refused.communicate()
        holder.stdin.close()
    assert complaint.splitlines() == [
        f"pairdex: {db} is in use by another process: an embedded database has one user at a time"
    ]
    missing = pairdex_process("clickhouse", "search", odd, "--like", "1")
    assert (
        f"the database {odd}.clickhouse does not exist; create it with pairdex"
        in missing.communicate()[1]
    )
    assert not odd.with_name("odd.clickhouse").exists()
    _, complaint = pairdex_process("clickhouse", "load", odd, "--path", odd).communicate()
    assert complaint.splitlines() == [
        f"pairdex: {odd} is not a ClickHouse database and not empty; name another folder"
    ]
