"""Bad input through the command line: one clear line, exit status 1, nothing half-written."""

import contextlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from full_disk import run_with_small_files
from pairdex.files import lock

ROWS = 40


def npy(text, rows=ROWS, dim=8):
    """An .npy file of 40 rows whose header says `text`."""
    data = np.ones((rows, dim), np.float16).tobytes()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1") + data


def header(shape="(40, 8)", descr="'<f2'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def change(name, content):
    return lambda source: (source / name).write_bytes(
        content((source / name).read_bytes()) if callable(content) else content
    )


def rewrite(name, table):
    def do(source):
        pq.write_table(table(pq.read_table(source / name)), source / name)

    return do


ONES = np.ones((ROWS, 8), np.float16)
IMAGE, TEXT, META = "img_emb_1.npy", "text_emb_1.npy", "metadata_1.parquet"

# What is done to part 1 of a good source, and what the one line must say.
DAMAGES = {
    "missing metadata": (lambda s: (s / META).unlink(), r"but no metadata_1\.parquet; fetch it"),
    "missing text vectors": (lambda s: (s / TEXT).unlink(), r"but no text_emb_1\.npy; fetch it"),
    "truncated": (
        change(IMAGE, lambda data: data[:-7]),
        r"img_emb_1\.npy is 761 bytes, its header",
    ),
    "cut in the header": (
        change(IMAGE, lambda data: data[:60]),
        r"img_emb_1\.npy has an unreadable",
    ),
    "empty file": (change(IMAGE, b""), r"img_emb_1\.npy is empty"),
    "another format": (
        change(IMAGE, b"PK\x03\x04" + bytes(100)),
        r"img_emb_1\.npy is not an \.npy file",
    ),
    "more rows claimed": (
        change(IMAGE, npy(header("(41, 8)"))),
        r"header says 41 rows x 8 float16",
    ),
    "fewer rows claimed": (
        change(IMAGE, npy(header("(39, 8)"))),
        r"header says 39 rows x 8 float16",
    ),
    "absurd shape": (change(IMAGE, npy(header(f"({10**30}, 8)"))), r"it is truncated or damaged"),
    "overflowing shape": (
        change(IMAGE, npy(header(f"({2**61}, 8)"))),
        r"it is truncated or damaged",
    ),
    "negative shape": (change(IMAGE, npy(header("(-40, 8)"))), r"unreadable \.npy header"),
    "pickled dtype": (change(IMAGE, npy(header(descr="'|O'"))), r"unreadable \.npy header"),
    "a pickle": (
        change(IMAGE, saved(np.array([{}] * ROWS, object), allow_pickle=True)),
        r"unreadable \.npy header",
    ),
    "one dimension": (change(IMAGE, saved(ONES.ravel())), r"float16 of shape \(320,\)"),
    "integers": (change(IMAGE, saved(ONES.astype(int))), r"holds int64 of shape"),
    "another dimension": (
        change(IMAGE, saved(ONES[:, :7])),
        r"img_emb_1\.npy has dimension 7, img_emb_0\.npy has 8",
    ),
    "text of another dimension": (
        change(TEXT, saved(ONES[:, :7])),
        r"text_emb_1\.npy has dimension 7, img_emb_0\.npy has 8",
    ),
    "fewer vectors than metadata": (
        change(IMAGE, saved(ONES[:39])),
        r"img_emb_1\.npy has 39 rows, metadata_1\.parquet has 40",
    ),
    "fewer metadata than vectors": (
        rewrite(META, lambda table: table.slice(1)),
        r"img_emb_1\.npy has 40 rows, metadata_1\.parquet has 39",
    ),
    "column missing in one part": (
        rewrite(META, lambda table: table.drop_columns("LICENSE")),
        r"metadata_1\.parquet lacks the column LICENSE that metadata_0\.parquet has",
    ),
    "column more in one part": (
        rewrite(META, lambda table: table.append_column("key", pa.array(["k"] * ROWS))),
        r"metadata_0\.parquet lacks the column key that metadata_1\.parquet has",
    ),
    "Parquet truncated": (
        change(META, lambda data: data[:-100]),
        r"metadata_1\.parquet is not a readable Parquet file",
    ),
    "Parquet's footer overwritten": (
        change(META, lambda data: data[:-300] + bytes(292) + data[-8:]),
        r"metadata_1\.parquet is not a readable Parquet file",
    ),
    "two files of one number": (
        lambda s: (s / "img_emb_01.npy").write_bytes((s / IMAGE).read_bytes()),
        r"are both part 1",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_part_ends_in_one_line_and_no_collection(make_parts, run, tmp_path, name):
    damage, told = DAMAGES[name]
    source = make_parts(ROWS, ROWS)
    damage(source)
    assert re.search(told, run("build", source, tmp_path / "c").complaint)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_part_leaves_a_collection_as_it_was(make_parts, build, run, tmp_path, tree, name):
    damage, told = DAMAGES[name]
    source = make_parts(ROWS, ROWS)
    build(source, tmp_path / "c", parts=frozenset({0}))
    before = tree(tmp_path / "c")
    damage(source)
    assert re.search(told, run("build", source, tmp_path / "c").complaint)
    assert tree(tmp_path / "c") == before


def overwritten_pages(source):
    data = bytearray((source / META).read_bytes())
    data[4:500] = bytes(496)
    (source / META).write_bytes(data)


def a_flipped_byte_in_a_page(source):
    table = pq.read_table(source / META)
    pq.write_table(table, source / META, write_page_checksum=True)
    data = bytearray((source / META).read_bytes())
    data[data.index(b"example.org") + 3] ^= 1
    (source / META).write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (overwritten_pages, r"metadata_1\.parquet cannot be read: .*; fetch it again"),
        (a_flipped_byte_in_a_page, r"metadata_1\.parquet cannot be read: .*; fetch it again"),
    ],
)
def test_damage_that_shows_only_when_rows_are_read(
    make_parts, build, run, tmp_path, tree, damage, told
):
    source = make_parts(ROWS, ROWS)
    build(source, tmp_path / "c", parts=frozenset({0}))
    before = tree(tmp_path / "c")
    damage(source)
    for arguments in (
        ["build", source, tmp_path / "c"],
        ["build", source, tmp_path / "new", "--parts", 1],
    ):
        assert re.search(told, run(*arguments).complaint)
    assert tree(tmp_path / "c") == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "not an archive", "without parquet"])
def test_a_damaged_npz_ends_in_one_line(make_parts, run, tmp_path, damage):
    source = make_parts(ROWS, ROWS, layout="datacomp")
    path = source / f"{1:032x}.npz"
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        place = data.index(b"l14_img") + 400
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    elif damage == "not an archive":
        path.write_bytes(b"not an archive")
    else:
        path.with_suffix(".parquet").unlink()
    assert path.stem in run("build", source, tmp_path / "c").complaint
    assert not (tmp_path / "c/collection.json").exists()
    assert not list(tmp_path.rglob("*.partial"))


WHERES = [
    ("nosuch > 3", "names the unknown column nosuch; the columns are url, caption"),
    ("", "the filter is empty"),
    ("width > ", "is not an SQL predicate"),
    ("DROP TABLE collection", "is not an SQL predicate"),
    ("true; DELETE FROM collection", "is not an SQL predicate"),
    ("COPY collection TO '/tmp/x.csv'", "is not an SQL predicate"),
    ("true) AS keep FROM collection; ATTACH '/tmp/x.db'; SELECT (true", "the filter"),
    ("width = (SELECT 3)", "uses a subquery, which is not allowed"),
    ("read_text('/etc/passwd') LIKE '%root%'", "uses read_text, which is not allowed"),
    ("count(*) > 1", "uses count_star, which is not allowed"),
    ("random() < 0.5", "uses random, which is not allowed"),
    ("now() > '2020-01-01'", "uses now, which is not allowed"),
    ("current_date > '2020-01-01'", "names the unknown column current_date"),
    ("width", "is a integer, expected a boolean"),
    ("caption = \x1b[31mred", "is not an SQL predicate"),
]


@pytest.mark.parametrize(("where", "told"), WHERES)
def test_a_filter_that_is_no_predicate_ends_in_one_line(
    make_parts, collection, run, tmp_path, tree, where, told
):
    before = tree(collection)
    built = run("build", tmp_path / "parts", tmp_path / "new", "--where", where)
    searched = run("search", collection, "--like", 3, "--where", where, "--no-codes")
    assert told in built.complaint
    assert told in searched.complaint
    assert "\x1b" not in built.err + searched.err
    assert not (tmp_path / "new").exists()
    assert tree(collection) == before


def test_a_rule_without_its_column_ends_in_one_line(make_parts, run, tmp_path):
    source = make_parts(3, columns={"url": ["a", "b", "c"]})
    told = run("build", source, tmp_path / "c", "--nsfw", "safe").complaint
    assert told.endswith("has no column NSFW, which the rule safe needs; its columns are url")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--like", 60], "id 60 is out of range"),
        (["--like", -1], "id -1 is out of range"),
        (["--like", 3, "--recall", 7], "--recall is 7, expected 0.5 to 0.999"),
        (["--like", 3, "-k", 0], "-k is 0, expected 1 to 1,000,000"),
        (["--like", 3, "-k", -1], "-k is -1, expected 1 to 1,000,000"),
        (["--like", 3, "-k", 1_000_001], "-k is 1,000,001, expected 1 to 1,000,000"),
        ([], "--term, or --keywords, --where or --sort alone, got none of them"),
        (["--like", 3, "--text", "a"], "got --text and --like"),
        (["--text", "a car"], "does not record which model made its vectors"),
        (["--like", 3, "--out", "found.csv"], "got the suffix '.csv', expected .h5 or .parquet"),
        (["--like", 3, "--out", "absent/found.h5"], "cannot write absent/found.h5: No such file"),
        (["--vectors", "absent.npy"], "absent.npy does not exist"),
        (["--vectors", "absent.npy", "--like", 3], "takes either --vectors or --text"),
    ],
)
def test_a_search_that_cannot_be_done_ends_in_one_line(
    collection, run, tmp_path, monkeypatch, arguments, told
):
    monkeypatch.chdir(tmp_path)
    assert told in run("search", collection, *arguments).complaint
    assert not list(tmp_path.glob("found*"))


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.ones((2, 9), np.float32), "the query vectors have shape (2, 9), expected (n, 8)"),
        (np.full((2, 8), np.nan, np.float32), "query 0 is not finite"),
        (np.array([[1] * 8, [0] * 8], np.float32), "query 1 is all zero"),
        (np.ones((2, 8)) * 1e300, "query 0 is not finite"),
        (np.ones((2, 8), int), "holds int64 of shape (2, 8); expected rows of floats"),
        (np.ones((2, 8, 1), np.float32), "holds float32 of shape (2, 8, 1)"),
    ],
)
def test_queries_that_cannot_be_used_end_in_one_line(collection, run, tmp_path, array, told):
    np.save(tmp_path / "q.npy", array)
    assert told in run("search", collection, "--vectors", tmp_path / "q.npy").complaint


def test_query_files_that_cannot_be_used_end_in_one_line(collection, run, tmp_path):
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "two.npz", a=np.ones((1, 8)), b=np.ones((1, 8)))
    (tmp_path / "q.txt").write_text("1 2 3")
    for name, told in (
        ("empty.npy", "is empty"),
        ("two.npz", "holds the arrays a, b: say which"),
        ("two.npz:c", "holds the arrays a, b: got c"),
        ("q.txt", "is not a file of query vectors: got .txt"),
    ):
        assert told in run("search", collection, "--vectors", f"{tmp_path}/{name}").complaint


def test_a_k_larger_than_the_collection_is_no_error(collection, run, tmp_path):
    np.save(tmp_path / "q.npy", np.ones((2, 8), np.float32))
    found = run("search", collection, "--vectors", tmp_path / "q.npy", "-k", 100, "--json").json
    assert [ids[60:] for ids in found["ids"]] == [[-1] * 40] * 2
    assert [near[60:] for near in found["distances"]] == [[None] * 40] * 2
    hits = run("search", collection, "--like", 3, "-k", 100, "--json").json["hits"]
    assert len(hits) == 59


def test_no_queries_at_all_are_no_error(collection, run, tmp_path):
    np.save(tmp_path / "q.npy", np.ones((0, 8), np.float32))
    found = run("search", collection, "--vectors", tmp_path / "q.npy", "--json").json
    assert (found["ids"], found["distances"], found["queries"]) == ([], [], 0)


@pytest.fixture
def demo_collection(make_parts, run, tmp_path):
    """A collection whose texts and pictures the demo model encodes."""
    source = make_parts(5, dim=64)
    assert run("build", source, tmp_path / "c", "--model", "demo").status == 0
    return tmp_path / "c"


def test_a_text_that_is_empty_or_endless_ends_in_one_line(demo_collection, run):
    for text in ("", "   ", "word " * 10_000):
        run("search", demo_collection, "--text", text).complaint  # noqa: B018 - asserts
    run("search", demo_collection, "--like", 1, "--unlike", "").complaint  # noqa: B018


def bomb():
    """A PNG of a few bytes that says it is 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", bomb()])
def test_a_picture_that_is_none_or_a_bomb_ends_in_one_line(demo_collection, run, tmp_path, content):
    (tmp_path / "picture.png").write_bytes(content)
    told = run("search", demo_collection, "--image", tmp_path / "picture.png").complaint
    assert "picture.png" in told
    assert (
        "absent.png" in run("search", demo_collection, "--image", tmp_path / "absent.png").complaint
    )


COMMANDS = [
    ["info"],
    ["verify"],
    ["search", "--like", 3],
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is not a collection: it has no collection.json; make one with pairdex build"),
        ({"version": 99}, "has format version 99, this release reads version 1; upgrade pairdex"),
        ({"format": "other"}, "is not the manifest of a pairdex-collection"),
        (b"{", "is damaged: it is not JSON"),
        (b"[]", "is not the manifest of a pairdex-collection"),
        ({"rows": 61}, "its checksum does not match"),
    ],
)
def test_what_is_no_collection_of_ours_is_refused_by_every_command(
    collection, run, command, content, told
):
    path = collection / "collection.json"
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **content}))
    name, *options = command
    assert told in run(name, collection, *options).complaint


def test_a_damaged_manifest_is_never_built_over(collection, run, tmp_path, tree):
    (collection / "collection.json").write_bytes(b"{")
    before = tree(collection)
    assert "is not JSON" in run("build", tmp_path / "parts", collection).complaint
    assert tree(collection) == before


def test_a_missing_file_of_a_collection_ends_in_one_line(collection, run):
    (collection / "image/00001.npy").unlink()
    for command in (["info"], ["search", "--like", 3]):
        name, *options = command
        told = run(name, collection, *options).complaint
        assert told.endswith("image/00001.npy is missing from the collection; build it again")
    assert "image/00001.npy is damaged: it is missing" in run("verify", collection).complaint


def test_verify_names_what_is_damaged_in_its_json_too(collection, run):
    data = bytearray((collection / "text/00002.npy").read_bytes())
    data[-1] ^= 1
    (collection / "text/00002.npy").write_bytes(data)
    (collection / "image/00001.npy").unlink()
    outcome = run("verify", collection, "--json")
    assert [damage["file"] for damage in outcome.json["damaged"]] == [
        "image/00001.npy",
        "text/00002.npy",
    ]
    assert "image/00001.npy is damaged: it is missing and 1 more files; build" in outcome.complaint


def test_a_second_builder_ends_at_once_in_one_line(collection, run, tmp_path, tree):
    before = tree(collection)
    with lock.writing(collection):
        told = run("build", tmp_path / "parts", collection).complaint
    assert told == f"{collection} is being written by another process; wait until it has ended"
    assert tree(collection) == before


def test_a_target_that_is_a_file_or_below_one_ends_in_one_line(make_parts, run, tmp_path):
    source = make_parts(3)
    (tmp_path / "file").write_text("mine")
    for target, reason in (("file", "File exists"), ("file/c", "Not a directory")):
        told = run("build", source, tmp_path / target).complaint
        assert told == (
            f"cannot write {tmp_path / target}: {reason}; "
            "choose a writable place and run the same command again"
        )
    assert (tmp_path / "file").read_text() == "mine"


def test_names_from_elsewhere_cannot_steer_the_terminal(make_parts, run, tmp_path):
    columns = {"url": ["a"], "\x1b[31mred\nline\x07": ["b"]}
    source = make_parts(1, columns=columns)
    assert "\x1b" not in (told := run("build", source, tmp_path / "c", "--nsfw", "safe").complaint)
    assert "[31mred line" in told
    assert run("build", source, tmp_path / "c").status == 0
    shown = run("info", tmp_path / "c")
    assert "\x1b" not in shown.out
    assert "\x07" not in shown.out


@contextlib.contextmanager
def mounted(folder, options):
    """A file system of its own on `folder`, where the tests may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield lambda more: subprocess.run(
                    ["mount", "-o", f"remount,{more}", str(folder)], check=True
                )
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    pytest.skip("mounting a small file system is not permitted here")


def test_a_full_disk_ends_in_one_line_and_the_build_goes_on_when_there_is_room(
    make_parts, build, run, tmp_path, tree
):
    source = make_parts(3_000, 6_000, dim=64)
    build(source, tmp_path / "undisturbed" / "c")
    with mounted(tmp_path / "disk", "size=2m") as remount:
        for workers in (1, 2):
            told = run("build", source, tmp_path / "disk/c", "--workers", workers).complaint
            assert re.fullmatch(
                r"cannot write .*/disk/c/.*/0000\d\.\w+: No space left on device; "
                r"free space and run the same command again",
                told,
            )
            assert not list((tmp_path / "disk").rglob("*.partial"))
            assert not (tmp_path / "disk/c/collection.json").exists()
        remount("size=20m")
        assert run("build", source, tmp_path / "disk/c").status == 0
        assert tree(tmp_path / "disk") == tree(tmp_path / "undisturbed")


def test_a_disk_that_is_full_at_any_byte_ends_in_one_line(make_parts, tmp_path):
    """Files may not grow beyond a limit, as on a disk that is full at that point of them."""
    source = make_parts(300)
    program = (
        "import pathlib\n"
        "from pairdex.errors import WriteFailed\n"
        "from pairdex.store.build import build_collection\n"
        "from pairdex.store.plan import Selection\n"
        "source, target = map(pathlib.Path, sys.argv[1:])\n"
        "for limit in (*range(0, 3_000, 128), *range(3_000, 60_000, 5_000)):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        build_collection(source, target, selection=Selection())\n"
        "    except WriteFailed as error:\n"
        "        print(error)\n"
    )
    ran = run_with_small_files(60_000, source, tmp_path / "c", program=program)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) > 25
    for line in lines:
        assert re.fullmatch(
            r"cannot write .*/c/.*: File too large; free space and run the .*", line
        )
    assert (tmp_path / "c/collection.json").is_file()
    assert not list((tmp_path / "c").rglob("*.partial"))


def test_results_that_do_not_fit_on_the_disk_end_in_one_line(collection, run, tmp_path):
    np.save(tmp_path / "q.npy", np.random.default_rng(1).standard_normal((2_000, 8)))
    with mounted(tmp_path / "disk", "size=64k"):
        for name in ("found.h5", "found.parquet"):
            out = tmp_path / "disk" / name
            told = run(
                "search", collection, "--vectors", tmp_path / "q.npy", "-k", 50, "--out", out
            ).complaint
            assert told.startswith(f"cannot write {out}: No space left on device; free space")
            assert list((tmp_path / "disk").iterdir()) == []


def test_a_read_only_target_ends_in_one_line(make_parts, build, run, tmp_path, tree):
    source = make_parts(3, 2)
    with mounted(tmp_path / "disk", "size=1m") as remount:
        build(source, tmp_path / "disk/c", parts=frozenset({0}))
        before = tree(tmp_path / "disk")
        remount("ro")
        for target in ("c", "new"):
            told = run("build", source, tmp_path / "disk" / target).complaint
            assert re.fullmatch(
                rf"cannot write .*/disk/{target}\S*: Read-only file system; "
                r"choose a writable place and run the same command again",
                told,
            )
        assert tree(tmp_path / "disk") == before


def test_a_read_only_collection_is_searched_all_the_same(make_parts, build, run, tmp_path):
    source = make_parts(9)
    with mounted(tmp_path / "disk", "size=1m") as remount:
        build(source, tmp_path / "disk/c")
        remount("ro")
        for command in (["search", "--like", 3, "-k", 4], ["info"], ["verify"]):
            name, *options = command
            outcome = run(name, tmp_path / "disk/c", *options, "--json")
            assert outcome.status == 0
            assert outcome.json
        assert [
            hit["id"]
            for hit in run("search", tmp_path / "disk/c", "--like", 3, "--json").json["hits"]
        ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_target_without_permission_ends_in_one_line(make_parts, run, tmp_path):
    source = make_parts(3)
    (tmp_path / "theirs").mkdir(mode=0o555)
    told = run("build", source, tmp_path / "theirs/c").complaint
    assert "cannot write" in told
    assert "Permission denied; choose a writable place" in told


def test_standard_output_that_is_full_ends_in_one_line(collection):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = subprocess.run(
            [sys.executable, "-m", "pairdex", "info", str(collection), "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr == (
        "pairdex: cannot write to the standard output: No space left on device; free space and run the "
        "same command again\n"
    )
