"""Hostile addresses, servers and leftovers: nothing outside of the folder is written, and all end in one line."""

import json
from urllib.parse import quote

import pytest

from pairdex.downloads.fetch import fetch_files as fetch
from pairdex.errors import FetchFailed, InvalidArgument, PairdexError, WriteFailed

from .conftest import Fault

OUT_OF_THE_FOLDER = [
    "..%2f..%2fvictim.bin",
    "..%2F..%2Fvictim.bin",
    "%2e%2e%2f%2e%2e%2fvictim.bin",
    "..%5c..%5cvictim.bin",
    "%2f{tmp}%2fvictim.bin",
    "a%00.bin",
    "a%0a.bin",
    "%ff%fe%2f..%2fvictim.bin",
    "nul.bin",
    "x" * 300 + ".bin",
]


def all_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def one_line(error):
    text = str(error)
    assert text.isprintable(), text
    assert len(text) < 1000, text
    return text


@pytest.mark.parametrize("name", OUT_OF_THE_FOLDER)
def test_the_name_in_an_address_does_not_leave_the_folder(server, retry, tmp_path, name):
    name = name.replace("{tmp}", quote(str(tmp_path), safe=""))
    server.put(name, b"stolen")
    victim = tmp_path / "victim.bin"
    victim.write_bytes(b"mine")
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    with pytest.raises(FetchFailed, match="which is refused"):
        fetch(f"{server.url}/{name}", folder, retry=retry())
    assert victim.read_bytes() == b"mine"
    assert all_below(tmp_path) == {"victim.bin", "a", "a/b"}


@pytest.mark.parametrize("name", OUT_OF_THE_FOLDER)
def test_the_names_of_a_listing_do_not_leave_the_folder(server, retry, tmp_path, name):
    name = name.replace("{tmp}", quote(str(tmp_path), safe=""))
    server.put(f"folder/{name}", b"stolen")
    folder = tmp_path / "a" / "b"
    with pytest.raises(FetchFailed, match="which is refused"):
        fetch(f"{server.url}/folder/", folder, retry=retry())
    assert all_below(tmp_path) == set()


@pytest.mark.parametrize("leftover", ["a.bin.part", "a.bin.part.json", "a.bin", "deep"])
def test_nothing_is_written_through_a_link_in_the_folder(server, retry, tmp_path, leftover):
    server.put("folder/a.bin", b"new content")
    server.put("folder/deep/b.bin", b"new content")
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "victim").write_bytes(b"mine")
    (folder / leftover).symlink_to(outside if leftover == "deep" else outside / "victim")
    if leftover in ("a.bin.part", "deep"):
        with pytest.raises(WriteFailed, match="is a link; remove it"):
            fetch(f"{server.url}/folder/", folder, retry=retry())
    else:
        assert not fetch(f"{server.url}/folder/", folder, retry=retry()).failed
        assert (folder / "a.bin").read_bytes() == b"new content"
    assert all_below(outside) == {"victim"}
    assert (outside / "victim").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://[::1",
        "http://]/a.bin",
        "http://host:99999999/a.bin",
        f"http://127.0.0.1:{'9' * 5000}/a.bin",
        "http://127.0.0.1:-1/a.bin",
        "http://127.0.0.1:x/a.bin",
        "http://xn--/a.bin",
        "http://xn--zzzzzzzz\u3002/a.bin",
        f"http://{'a' * 70}.example/a.bin",
        "http://a..b/a.bin",
        "http:///a.bin",
        "http://\u2100.example/a.bin",
        "file://[/a.bin",
        "file:///a%00.bin",
        "s3://[/a.bin",
        "nosuch://host/a.bin",
        "://",
        "file:",
    ],
)
def test_an_address_that_is_none_ends_in_one_line(retry, tmp_path, url):
    try:
        report = fetch(url, tmp_path / "out", retry=retry(attempts=1))
    except PairdexError as error:
        one_line(error)
    else:
        assert report.failed
        one_line(report.failed[0].reason)
    with pytest.raises(PairdexError) as raised:
        fetch("sisap-2023", tmp_path / "out", mirror="http://[", retry=retry(attempts=1))
    one_line(raised.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes */5"},
        {"Content-Range": f"bytes {'0' * 5000}-{'9' * 5000}/{'9' * 5000}"},
        {"Content-Range": "bytes -1-2/3"},
        {"Content-Range": "nonsense"},
        {},
    ],
)
@pytest.mark.parametrize("status", [206, 416])
def test_an_answer_of_a_range_that_was_not_asked_for_ends(server, retry, tmp_path, status, headers):
    faults = [Fault(status=status, headers=headers)] * 20
    url = server.put("a.bin", b"12345", *faults)
    report = fetch(url, tmp_path, retry=retry(attempts=3))
    assert "206 or 416" in one_line(report.failed[0].reason)
    assert len(server.asked("a.bin")) == 3


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://host/a",
        "gopher://x",
        "http://[",
        "http://xn--/",
        "data:,a",
    ],
)
def test_a_redirect_to_what_is_not_a_web_server_fails_at_once(
    server, retry, tmp_path, clock, target
):
    url = server.put("a.bin", b"", *[Fault(status=302, headers={"Location": target})] * 20)
    report = fetch(url, tmp_path / "out", retry=retry())
    one_line(report.failed[0].reason)
    assert clock.waits == []
    assert all_below(tmp_path / "out") == set()


@pytest.mark.parametrize("name", ["Content-Length", "Retry-After", "Last-Modified", "ETag"])
@pytest.mark.parametrize(
    "value", ["9" * 5000, "-1", "\xff", "Mon, 99 Jan 99999999 00:00:00", "((("]
)
def test_odd_headers_never_end_in_a_traceback(server, retry, tmp_path, name, value):
    status = 503 if name == "Retry-After" else 200
    body = Fault(status=status, headers={name: value}, body=b"12345")
    url = server.put("a.bin", b"12345", *[body] * 4)
    report = fetch(url, tmp_path, retry=retry())
    for failure in report.failed:
        one_line(failure.reason)


@pytest.mark.parametrize(
    "page",
    [
        b'<a href="http://[">x</a><a href="ok.bin">ok</a>',
        b'<a href="//xn--/">x</a><a href="http://h:99999999/">x</a><a href="ok.bin">ok</a>',
        b"<a href='ok.bin'><!-- <a <a <a \xff\xfe <![CDATA[",
        b"<![" + b"<!" * 1000 + b"<a href='ok.bin'>",
    ],
)
def test_a_listing_of_odd_links_ends_in_one_line_or_its_good_files(server, retry, tmp_path, page):
    server.put("folder/", page, kind="text/html")
    server.put("folder/ok.bin", b"whole")
    try:
        fetch(f"{server.url}/folder/", tmp_path, retry=retry())
    except PairdexError as error:
        one_line(error)
    else:
        assert (tmp_path / "ok.bin").read_bytes() == b"whole"


@pytest.mark.parametrize(
    "note",
    [
        b"[" * 100_000,
        b'{"url": ' + b"[" * 100_000,
        b"\xff\xfe",
        b"null",
        b'{"url": 5, "validator": [], "total": "x"}',
        b'{"url": "URL", "validator": {"a": 1}, "total": 1e400}',
        b'{"url": "URL", "validator": "1", "total": -5}',
        b'{"url": "URL", "validator": null, "total": ' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize("name", ["a.bin.part.json", ".pairdex-fetched.json"])
def test_odd_notes_of_an_earlier_fetch_are_passed_over(server, retry, tmp_path, name, note):
    url = server.put("a.bin", b"12345678")
    (tmp_path / "a.bin.part").write_bytes(b"1234")
    (tmp_path / name).write_bytes(note.replace(b"URL", url.encode()))
    report = fetch(url, tmp_path, retry=retry())
    assert report.failed == []
    assert (tmp_path / "a.bin").read_bytes() == b"12345678"
    assert "a.bin" in json.loads((tmp_path / ".pairdex-fetched.json").read_bytes())["files"]


def test_an_address_of_nothing_is_an_argument_that_cannot_be_used(tmp_path):
    with pytest.raises(InvalidArgument, match=r"'http://\[' is not an address"):
        fetch("http://[", tmp_path)
