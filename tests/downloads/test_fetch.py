"""Fetching from a real server with faults: what arrives is right, or nothing has the file's name."""

import email.utils
import hashlib
import json
import re
import shutil
import threading
from collections import namedtuple
from dataclasses import replace

import pytest

import pairdex
from full_disk import small_files
from pairdex.downloads import catalogue
from pairdex.downloads.catalogue import load_catalogue
from pairdex.downloads.fetch import fetch_files as fetch
from pairdex.downloads.partial import Partial
from pairdex.downloads.record import RECORD
from pairdex.errors import FetchFailed, InvalidArgument, WriteFailed
from pairdex.parts.layout import find_parts

from .conftest import TABLE, Fault

SIZE = 300_000
"""Large against the pieces in which bytes arrive, so that a break falls between them."""


def get(url, folder, retry, **options):
    return fetch(url, folder, retry=retry, **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


# What arrives whole.


def test_a_folder_arrives_with_its_subfolders_and_is_verified_by_its_list(
    server, data, tmp_path, retry
):
    for number, name in enumerate(["a.bin", "deep/er/b c.bin", "deep/d=1.bin"]):
        server.put(name.replace(" ", "%20"), data(5000 + number, number))
    server.files["deep/er/b c.bin"] = server.files["deep/er/b%20c.bin"]
    server.put_sums()
    del server.files["deep/er/b c.bin"]
    report = get(server.url, tmp_path / "new" / "folder", retry())
    got = tmp_path / "new" / "folder"
    assert (got / "deep" / "er" / "b c.bin").read_bytes() == data(5001, 1)
    assert (got / "deep" / "d=1.bin").read_bytes() == data(5002, 2)
    assert (report.files, report.verified, report.fetched) == (4, 3, 4)
    assert report.bytes == sum(p.stat().st_size for p in got.rglob("*.bin")) + len(
        server.files["SHA256SUMS"].data
    )
    assert names(got) == ["SHA256SUMS", "a.bin", "deep"]


def test_parts_of_laion400m_lie_where_build_finds_them(server, make_parts, tmp_path, retry, build):
    source = make_parts(5, 7, 9, layout="laion400m")
    for path in sorted(source.rglob("*.*")):
        server.put(path.relative_to(source).as_posix(), path.read_bytes())
    got = tmp_path / "got"
    report = get("laion400m", got, retry(), parts=frozenset([0, 2]), mirror=server.url)
    assert (report.files, report.failed) == (6, [])
    assert [(part.number, part.rows) for part in find_parts(got)] == [(0, 5), (2, 9)]
    assert any("part 107" in note.note for note in report.notes)
    assert build(got, tmp_path / "collection", parts=frozenset([0, 2])).rows == 14


def test_only_the_files_of_the_pattern_and_the_parts_are_fetched(server, tmp_path, retry):
    for number in range(3):
        server.put(f"img_emb_{number}.bin", b"image")
        server.put(f"metadata_{number}.bin", b"table")
    get(server.url, tmp_path / "a", retry(), files=["meta*"], parts=frozenset([1, 2]))
    assert names(tmp_path / "a") == ["metadata_1.bin", "metadata_2.bin"]
    get(f"{server.url}/img_emb_0.bin", tmp_path / "b", retry())
    assert names(tmp_path / "b") == ["img_emb_0.bin"]
    with pytest.raises(InvalidArgument, match="no part 3"):
        get(server.url, tmp_path / "c", retry(), parts=frozenset([3]))
    with pytest.raises(InvalidArgument, match=r"did you mean metadata_1\.bin"):
        get(server.url, tmp_path / "c", retry(), files=["metadat_1.bin"])


def test_an_empty_file_and_one_of_unannounced_length_arrive(server, data, tmp_path, retry):
    server.put("empty.bin", b"")
    server.put("open.bin", data(SIZE), Fault(no_length=True))
    report = get(server.url, tmp_path, retry())
    assert (tmp_path / "empty.bin").read_bytes() == b""
    assert (tmp_path / "open.bin").read_bytes() == data(SIZE)
    assert (report.files, report.bytes) == (2, SIZE)


def test_progress_ends_at_the_sum_of_all_bytes(server, data, tmp_path, retry):
    for number in range(4):
        server.put(f"{number}.bin", data(SIZE, number), Fault(break_after=1000 * number or None))
    told = []
    get(
        server.url,
        tmp_path,
        retry(),
        progress=lambda _step, done, total: told.append((done, total)),
    )
    assert told[-1] == (4 * SIZE, 4 * SIZE)
    assert all(done <= total for done, total in told)


# Breaks, and how it goes on after them.


def test_a_broken_download_goes_on_at_its_byte_and_only_if_the_file_is_the_same(
    server, data, tmp_path, retry, clock
):
    url = server.put("a.bin", data(SIZE), Fault(break_after=100_000), Fault(break_after=50_000))
    report = get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert [h.get("Range") for h in server.asked("a.bin")] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
    ]
    assert server.asked("a.bin")[1]["If-Range"] == '"1"'
    assert report.received == SIZE
    assert clock.waits == [0.5, 1.0]  # half of 1 s and of 2 s; the other half is by chance
    assert names(tmp_path) == ["a.bin"]


def test_a_later_run_goes_on_with_what_an_earlier_one_left(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE), Fault(break_after=100_000))
    server.put_sums()
    report = get(server.url, tmp_path, retry(attempts=1), files=["*.bin"])
    assert "broke off" in report.failed[0].reason
    assert names(tmp_path) == ["a.bin.part", "a.bin.part.json"]
    report = get(server.url, tmp_path, retry(), files=["*.bin"])
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert (report.verified, report.received) == (1, SIZE - 100_000)
    assert server.asked("a.bin")[1]["Range"] == "bytes=100000-"
    assert names(tmp_path) == ["a.bin"]
    assert url


def test_a_server_that_ignores_ranges_is_taken_from_the_beginning(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE), Fault(break_after=100_000), Fault(ignore_range=True))
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)


@pytest.mark.parametrize("careless", [False, True])
def test_a_file_that_changes_between_tries_is_never_spliced(
    server, data, tmp_path, retry, careless
):
    url = server.put("a.bin", data(SIZE), Fault(break_after=100_000))
    get(url, tmp_path, retry(attempts=1))
    server.put("a.bin", data(SIZE, 1), Fault(ignore_if_range=careless), etag='"2"')
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE, 1)


def test_a_changed_size_under_the_same_validator_is_noticed(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE), Fault(break_after=100_000))
    get(url, tmp_path, retry(attempts=1))
    server.put("a.bin", data(SIZE + 1, 1))
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE + 1, 1)


def test_a_date_is_as_good_as_an_etag(server, data, tmp_path, retry):
    date = "Mon, 01 May 2023 10:00:00 GMT"
    url = server.put("a.bin", data(SIZE), Fault(break_after=9), etag='W/"weak"', modified=date)
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert server.asked("a.bin")[1]["If-Range"] == date


def test_a_range_may_leave_the_date_away(server, data, tmp_path, retry):
    breaks = [Fault(break_after=1000), Fault(break_after=1000, bare_range=True)]
    url = server.put(
        "a.bin", data(SIZE), *breaks, etag=None, modified="Mon, 01 May 2023 10:00:00 GMT"
    )
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert [h.get("Range") for h in server.asked("a.bin")] == [None, "bytes=1000-", "bytes=2000-"]


def test_without_validator_only_a_checksum_lets_it_go_on(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE), Fault(break_after=100_000), etag=None)
    get(url, tmp_path / "bare", retry())
    assert "Range" not in server.asked("a.bin")[1]
    server.put("a.bin", data(SIZE), Fault(break_after=100_000), etag=None)
    server.put_sums()
    get(server.url, tmp_path / "sums", retry(), files=["a.bin"])
    assert server.asked("a.bin")[3]["Range"] == "bytes=100000-"
    for folder in ("bare", "sums"):
        assert (tmp_path / folder / "a.bin").read_bytes() == data(SIZE)


@pytest.mark.parametrize("left", [SIZE - 1, SIZE, SIZE + 10])
def test_whatever_length_an_unknown_beginning_has_the_file_is_right(
    server, data, tmp_path, retry, left
):
    server.put("a.bin", data(SIZE))
    server.put_sums()
    (tmp_path / "a.bin.part").write_bytes(data(SIZE + 10)[:left])
    get(server.url, tmp_path, retry(), files=["a.bin"])
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert names(tmp_path) == ["a.bin"]


def test_a_file_of_which_nothing_is_missing_is_not_asked_for(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE), *[Fault(body=data(SIZE, 1))] * 2)
    url = f"{server.url}/a.bin"
    note = {"url": url, "validator": '"1"', "total": SIZE}
    (tmp_path / "a.bin.part").write_bytes(data(SIZE))
    (tmp_path / "a.bin.part.json").write_text(json.dumps(note))
    assert get(url, tmp_path, retry()).received == 0
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert server.requests == []


def test_a_note_does_not_speak_for_bytes_that_it_was_not_written_for(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE))
    note = {"url": url, "validator": '"1"', "total": SIZE}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(note))
    (tmp_path / "a.bin").write_bytes(data(1000, 1))
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)


def test_another_mirror_goes_on_only_under_a_checksum(server, data, tmp_path, retry):
    for folder in ("one", "two"):
        server.put(f"{folder}/a.bin", data(SIZE), Fault(break_after=100_000))
        server.put_sums(f"{folder}/")
    get(f"{server.url}/one", tmp_path, retry(attempts=1), files=["a.bin"])
    report = get(f"{server.url}/two", tmp_path, retry(), files=["a.bin"])
    assert report.received == SIZE - 100_000
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)


def test_a_stalled_connection_is_broken_off_and_the_file_goes_on(
    server, data, tmp_path, retry, clock
):
    url = server.put("a.bin", data(SIZE), Fault(stall_after=100_000))
    get(url, tmp_path, retry(stall_seconds=0.2))
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert server.asked("a.bin")[1]["Range"] == "bytes=100000-"


# Busy servers, waits and limits.


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_given_the_time_that_it_asks_for(
    server, data, tmp_path, retry, clock, status
):
    later = email.utils.formatdate(clock.seconds + 47, usegmt=True)
    url = server.put(
        "a.bin",
        data(1000),
        Fault(status, {"Retry-After": "30"}),
        Fault(status, {"Retry-After": later}),
    )
    get(url, tmp_path, retry())
    assert clock.waits == [30.0, 17.0]
    assert (tmp_path / "a.bin").read_bytes() == data(1000)


def test_a_server_that_asks_for_too_much_time_is_left(server, tmp_path, retry, clock):
    url = server.put("a.bin", b"x", Fault(429, {"Retry-After": "86400"}))
    report = get(url, tmp_path, retry())
    assert "asks to wait 86,400 s" in report.failed[0].reason
    assert clock.waits == []


def test_waits_grow_and_end(server, tmp_path, retry, clock):
    url = server.put("a.bin", b"x", *[Fault(500)] * 9)
    report = get(url, tmp_path, retry(attempts=9, longest_delay_seconds=20.0))
    assert clock.waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert "answers 500, 9 times in a row" in report.failed[0].reason
    assert names(tmp_path) == []


def test_progress_begins_the_tries_anew(server, data, tmp_path, retry):
    breaks = [Fault(break_after=20_000)] * 10
    url = server.put("a.bin", data(SIZE), *breaks)
    get(url, tmp_path / "a", retry(attempts=3, progress_bytes=20_000))
    assert (tmp_path / "a" / "a.bin").read_bytes() == data(SIZE)
    server.put("a.bin", data(SIZE), *breaks)
    report = get(url, tmp_path / "b", retry(attempts=3, progress_bytes=20_001))
    assert "3 times in a row" in report.failed[0].reason


def test_one_host_never_has_more_connections_than_it_should(server, data, tmp_path, retry):
    server.gate = threading.Barrier(3)  # an answer waits until three are being served
    for number in range(12):
        server.put(f"{number}.bin", data(2000, number))
    report = get(server.url, tmp_path, retry(connections_per_host=3), jobs=16)
    assert report.files == 12
    assert server.most_at_once == 3


def test_a_host_that_is_not_there_is_given_up_and_the_other_files_do_not_wait_for_it(
    server, tmp_path, retry, clock
):
    nowhere = server.url
    server.stop()
    report = get("laion400m", tmp_path, retry(), parts=frozenset([0, 1]), mirror=nowhere, jobs=1)
    assert len(report.failed) == 6
    assert "cannot be reached" in report.failed[0].reason
    assert clock.waits == [0.5, 1.0, 2.0]


def test_a_listing_is_tried_again(server, data, tmp_path, retry, clock):
    server.put("d/", b'<a href="a.bin">a</a>', Fault(500), Fault(503), kind="text/html")
    server.put("d/a.bin", data(1000))
    assert get(f"{server.url}/d/", tmp_path, retry()).files == 1
    assert clock.waits == [0.5, 1.0]


# Wrong bytes.


def test_a_length_that_is_too_long_is_a_failure_after_some_tries(server, data, tmp_path, retry):
    lies = [Fault(lie_bytes=10)] * 4
    url = server.put("a.bin", data(1000), *lies)
    report = get(url, tmp_path, retry())
    assert report.failed
    assert "a.bin" not in names(tmp_path)


def test_a_length_that_is_too_short_is_noticed_by_checksum_or_by_format(
    server, data, make_parts, tmp_path, retry
):
    vectors = (make_parts(50) / "img_emb_0.npy").read_bytes()
    server.put("img_emb_0.npy", vectors, *[Fault(lie_bytes=-10)] * 2)
    server.put("a.bin", data(1000), *[Fault(lie_bytes=-10)] * 2)
    server.put_sums()
    del server.files["img_emb_0.npy"]
    report = get(server.url, tmp_path / "sums", retry(), files=["a.bin"])
    assert "sha256" in report.failed[0].reason
    url = server.put("img_emb_0.npy", vectors, *[Fault(lie_bytes=-10)] * 2)
    report = get(url, tmp_path / "format", retry())
    assert "its header says" in report.failed[0].reason
    assert names(tmp_path / "sums") == names(tmp_path / "format") == []
    get(url, tmp_path / "format", retry())
    assert (tmp_path / "format" / "img_emb_0.npy").read_bytes() == vectors


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b"not numpy at all"),
        ("a.parquet", b"PAR1 and no end"),
        ("a.h5", b"\x89HDF\r\n\x1a\n truncated"),
        ("a.npz", b"PK\x03\x04 truncated"),
    ],
)
def test_a_file_that_its_own_format_calls_broken_gets_no_name(
    server, tmp_path, retry, name, content
):
    url = server.put(name, content)
    report = get(url, tmp_path, retry())
    assert "twice" in report.failed[0].reason
    assert names(tmp_path) == []
    assert len(server.asked(name)) == 2


def test_wrong_bytes_are_discarded_and_fetched_once_more(server, data, tmp_path, retry):
    wrong = data(SIZE, 1)
    server.put("a.bin", data(SIZE))
    server.put_sums()
    server.files["a.bin"].faults = [Fault(body=wrong)]
    report = get(server.url, tmp_path, retry(), files=["a.bin"])
    assert report.verified == 1
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)


def test_bytes_that_stay_wrong_never_get_the_files_name(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE))
    server.put_sums()
    server.put("a.bin", data(SIZE, 1))
    report = get(server.url, tmp_path, retry(), files=["a.bin"])
    expected = hashlib.sha256(data(SIZE)).hexdigest()
    assert f"expected {expected}" in report.failed[0].reason
    assert names(tmp_path) == []


def test_a_wrong_beginning_is_noticed_in_the_whole(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE))
    server.put_sums()
    (tmp_path / "a.bin.part").write_bytes(data(1000, 1))
    get(server.url, tmp_path, retry(), files=["a.bin"])
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    assert [h.get("Range") for h in server.asked("a.bin")] == ["bytes=1000-", None]


def test_a_file_of_another_size_than_its_page_says_is_refused_before_it_is_fetched(
    server, data, tmp_path, retry
):
    server.put("public-queries-10k-pca32v2.h5", data(1000))
    report = get("sisap-2023", tmp_path, retry(), files=["public*pca32v2*"], mirror=server.url)
    assert "has 1,000 bytes, its page says 1.3M" in report.failed[0].reason
    assert names(tmp_path) == []


def test_a_published_md5_is_compared(server, data, tmp_path, retry, monkeypatch):
    content, name = data(5000), "public-queries-10k-pca32v2.h5"
    release = load_catalogue()["sisap-2023"]
    entry = next(e for e in release.entries if e.name == name)
    md5 = hashlib.md5(content).hexdigest()
    small = replace(entry, size=None, bytes=None, md5=md5)
    known = {"sisap-2023": replace(release, entries=(small,))}
    monkeypatch.setattr(catalogue, "load_catalogue", lambda: known)
    server.put(name, content)
    report = get("sisap-2023", tmp_path, retry(), mirror=f"{server.url}/")
    assert (report.files, report.verified) == (1, 1)
    assert json.loads((tmp_path / RECORD).read_text())["files"][name]["digest"] == md5
    assert "fitted on" in report.notes[0].note


# Answers that are no file.


def test_redirects_are_followed(server, data, tmp_path, retry):
    server.put("new.bin", data(1000))
    url = server.put("a.bin", b"", Fault(302, {"Location": f"{server.url}/new.bin"}))
    get(url, tmp_path, retry())
    assert (tmp_path / "a.bin").read_bytes() == data(1000)


@pytest.mark.parametrize(
    ("served", "words"),
    [
        ({"kind": "text/html; charset=utf-8"}, "is a web page"),
        ({"faults": [Fault(410)]}, r"not there any more \(410\)"),
        ({"faults": [Fault(403)]}, "answers 403"),
        ({"faults": [Fault(headers={"Content-Encoding": "gzip"})]}, "encoded as gzip"),
        ({"faults": [Fault(302, {"Location": "/a.bin"})] * 50}, "redirects"),
    ],
)
def test_an_answer_that_is_no_file_is_a_failure_at_once(
    server, tmp_path, retry, clock, served, words
):
    url = server.put("a.bin", b"sorry")
    for key, value in served.items():
        setattr(server.files["a.bin"], key, value)
    report = get(url, tmp_path, retry())
    assert re.search(words, report.failed[0].reason)
    assert clock.waits == []
    assert names(tmp_path) == []


def test_one_missing_file_does_not_lose_the_others(server, tmp_path, retry):
    for kind in ("img_emb", "text_emb"):
        server.put(f"{kind}/{kind}_0.npy", b"", Fault(404))
    server.put("metadata/metadata_0.parquet", TABLE)
    report = get("laion400m", tmp_path, retry(), parts=frozenset([0]), mirror=server.url)
    assert (report.files, len(report.failed)) == (1, 2)
    assert report.complaint().startswith("2 of 3 files failed; img_emb/img_emb_0.npy: ")
    assert "with --mirror https://the-eye.eu/public/AI/cah/laion400m-met-release" in (
        report.complaint()
    )
    assert (tmp_path / "metadata" / "metadata_0.parquet").exists()


def test_the_published_alternative_keeps_its_own_folders(server, tmp_path, retry, monkeypatch):
    release = load_catalogue()["laion400m"]
    mirror = release.mirrors[0]
    moved = tuple(
        replace(e, urls=tuple(u.replace(mirror, server.url) for u in e.urls))
        for e in release.entries
    )
    known = {"laion400m": replace(release, entries=moved)}
    monkeypatch.setattr(catalogue, "load_catalogue", lambda: known)
    server.put("metadata/metadata_0.parquet", TABLE)
    server.put("images/img_emb_0.npy", b"", Fault(404))
    options = {"parts": frozenset([0]), "files": ["img*", "meta*"], "mirror": server.url}
    get("laion400m", tmp_path, retry(), **options)
    assert {path for path, _ in server.requests} == {
        "images/img_emb_0.npy",
        "metadata/metadata_0.parquet",
    }


@pytest.mark.parametrize(
    "link",
    [
        "../outside.bin",
        "a/../../outside.bin",
        "%2e%2e%2foutside.bin",
        "%2foutside.bin",
        "a%5c..%5cb",
    ],
)
def test_a_listing_cannot_name_files_outside_the_folder(server, tmp_path, retry, link):
    server.put("d/", f'<a href="{link}">x</a>'.encode(), kind="text/html")
    with pytest.raises(FetchFailed, match=r"refused|no files"):
        get(f"{server.url}/d/", tmp_path / "in" / "side", retry())
    assert not list(tmp_path.rglob("*.bin"))


def test_passwords_and_signatures_are_neither_shown_nor_written(server, data, tmp_path, retry, run):
    server.put("a.bin?sign=secret1", data(SIZE), Fault(break_after=1000))
    server.put("a.bin?sign=secret2", data(SIZE))
    signed = server.url.replace("http://", "http://me:secret0@") + "/a.bin"
    report = get(f"{signed}?sign=secret1", tmp_path, retry(attempts=1))
    told = f"{report}{(tmp_path / 'a.bin.part.json').read_text()}"
    assert "a.bin" in told
    assert "secret" not in told
    report = get(f"{signed}?sign=secret2", tmp_path, retry())
    assert report.received == SIZE - 1000  # another signature is no other file
    assert server.requests[0][1]["Authorization"].startswith("Basic ")
    missing = run("fetch", f"{signed.replace('a.bin', 'b.bin')}?sign=secret3", tmp_path)
    assert "b.bin is not there" in missing.complaint
    assert "secret" not in missing.complaint


# Files that are there already.


def test_what_is_there_and_verified_is_not_asked_for_again(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE))
    server.put("b.bin", data(SIZE, 1))
    server.put_sums()
    options = {"files": ["*.bin"]}
    get(server.url, tmp_path, retry(), **options)
    server.requests.clear()
    report = get(server.url, tmp_path, retry(), **options)
    assert (report.files, report.verified, report.fetched, report.received) == (2, 2, 0, 0)
    assert {path for path, _ in server.requests} == {"", "SHA256SUMS"}


@pytest.mark.parametrize("sums", [True, False])
def test_a_file_that_somebody_else_brought_is_taken_if_it_is_right(
    server, data, tmp_path, retry, sums
):
    server.put("a.bin", data(SIZE))
    if sums:
        server.put_sums()
    (tmp_path / "a.bin").write_bytes(data(SIZE))
    report = get(server.url, tmp_path, retry(), files=["a.bin"])
    assert (report.files, report.fetched, report.verified) == (1, 0, int(sums))


def test_a_changed_file_is_found_and_fetched_again(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE))
    server.put_sums()
    get(server.url, tmp_path, retry(), files=["a.bin"])
    (tmp_path / "a.bin").write_bytes(data(SIZE - 1) + b"!")
    report = get(server.url, tmp_path, retry(), files=["a.bin"])
    assert report.fetched == 1
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)
    (tmp_path / "a.bin").touch()  # the same bytes at another time are read, not fetched
    assert get(server.url, tmp_path, retry(), files=["a.bin"]).fetched == 0


def test_what_curl_left_under_the_files_name_is_its_beginning(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE))
    server.put_sums()
    (tmp_path / "a.bin").write_bytes(data(SIZE)[:200_000])
    report = get(server.url, tmp_path, retry(), files=["a.bin"])
    assert report.received == SIZE - 200_000
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)


def test_a_folder_that_was_itself_fetched_is_a_source_without_its_notes(
    server, data, tmp_path, retry
):
    server.put("a.bin", data(SIZE))
    server.put("b.bin", data(SIZE, 1), Fault(break_after=1000))
    get(server.url, tmp_path / "first", retry(attempts=1))
    report = get(f"file://{tmp_path}/first", tmp_path / "second", retry())
    assert (report.files, names(tmp_path / "second")) == (1, ["a.bin"])


def test_a_damaged_record_only_costs_reading(server, data, tmp_path, retry):
    server.put("a.bin", data(SIZE))
    server.put_sums()
    get(server.url, tmp_path, retry(), files=["a.bin"])
    for damage in (b"", b"[1]", b'{"format": "pairdex-fetched", "version": 9, "files": {}}'):
        (tmp_path / RECORD).write_bytes(damage)
        report = get(server.url, tmp_path, retry(), files=["a.bin"])
        assert (report.verified, report.fetched) == (1, 0)


def test_two_fetches_of_one_file_do_not_mix(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE))
    entry = load_catalogue()["sisap-2023"].entries[0]
    with Partial(tmp_path / "a.bin", entry):
        report = get(url, tmp_path, retry())
    assert "being fetched by another process" in report.failed[0].reason
    get(url, tmp_path, retry())
    assert names(tmp_path) == ["a.bin"]


# Disks.


def test_a_full_disk_says_what_is_needed_and_loses_nothing(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE))
    with (
        small_files(100_000),
        pytest.raises(WriteFailed, match="200,000 more bytes are needed; free space"),
    ):
        get(url, tmp_path, retry())
    assert names(tmp_path) == ["a.bin.part", "a.bin.part.json"]
    assert get(url, tmp_path, retry()).received == SIZE - 100_000
    assert (tmp_path / "a.bin").read_bytes() == data(SIZE)


def test_free_space_is_looked_at_before_anything_is_fetched(
    server, data, tmp_path, retry, monkeypatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5000, 5000))
    url = server.put("a.bin", data(SIZE))
    with pytest.raises(WriteFailed, match="300,000 more bytes are needed, 5,000 are free"):
        get(url, tmp_path, retry())
    server.requests.clear()
    with pytest.raises(WriteFailed, match=r"about 15[0-9],[0-9,]+ more bytes are needed"):
        get("sisap-2023", tmp_path, retry(), files=["*clip768v2-n=100M*"], mirror=server.url)
    assert server.requests == []
    assert names(tmp_path) == []


def test_what_is_there_already_needs_no_space(data, tmp_path, retry, monkeypatch):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a.bin").write_bytes(data(SIZE))
    url, got = f"file://{tmp_path}/from", tmp_path / "got"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5000, 5000))
    with pytest.raises(WriteFailed, match="about 300,000 more bytes are needed"):
        get(url, got, retry())
    (got / "a.bin.part").write_bytes(data(SIZE)[:299_000])
    digest = hashlib.sha256(data(SIZE)).hexdigest()
    (tmp_path / "from" / "SHA256SUMS").write_text(f"{digest}  a.bin\n")
    assert get(url, got, retry(), files=["a.bin"]).received == 1000


def test_a_folder_that_cannot_be_made_is_said(server, tmp_path, retry):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteFailed, match="cannot write"):
        get(server.put("a.bin", b"x"), tmp_path / "file", retry())


# Arguments, and the command.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jobs": 0}, "jobs is 0, expected 1 to 64"),
        ({"mirror": "example.org/x"}, "the mirror is 'example.org/x', expected an address"),
        ({"parts": frozenset([410])}, "no part 410"),
        ({"files": ["img_emb_o.npy"]}, r"did you mean img_emb_\d+\.npy"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(tmp_path, options, words):
    with pytest.raises(InvalidArgument, match=words):
        fetch("laion400m", tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_mirror_of_an_address_is_refused(server, tmp_path):
    with pytest.raises(InvalidArgument, match="--mirror goes with the name of a release"):
        fetch(server.url, tmp_path, mirror=server.url)


def test_the_command_prints_what_arrived(server, data, run, tmp_path):
    server.put("a.bin", data(5000))
    server.put("b.bin", data(100))
    server.put_sums()
    report = run("fetch", server.url, tmp_path / "a", "--files", "*.bin", "--jobs", 2, "--json")
    assert report.status == 0
    facts = report.json
    assert (facts["files"], facts["bytes"], facts["verified"]) == (2, 5100, 2)
    shown = run("fetch", server.url, tmp_path / "b").out
    assert "2 by checksum" in shown


def test_the_command_fails_in_one_line_that_counts_and_names_the_first(server, run, tmp_path):
    server.put("metadata/metadata_3.parquet", TABLE)
    outcome = run("fetch", "laion-400m", tmp_path, "--parts", 3, "--mirror", server.url, "--json")
    assert "2 of 3 files failed; img_emb/img_emb_3.npy: " in outcome.complaint
    assert "not there any more (404)" in outcome.complaint
    assert outcome.json["files"] == 1
    assert [f["file"] for f in outcome.json["failed"]] == [
        "img_emb/img_emb_3.npy",
        "text_emb/text_emb_3.npy",
    ]


def test_the_function_raises_when_a_file_is_missing(server, tmp_path):
    server.put("metadata/metadata_3.parquet", TABLE)
    with pytest.raises(FetchFailed, match="2 of 3 files failed"):
        pairdex.fetch("laion400m", tmp_path, parts=frozenset([3]), mirror=server.url)
    report = pairdex.fetch(server.url, tmp_path)
    assert (report.files, report.fetched) == (1, 0)
