"""One suite for all sources: web servers, folders, object stores, and what fsspec knows."""

import subprocess
import sys
from pathlib import Path

import pytest

from pairdex.downloads import object_source
from pairdex.downloads.fetch import fetch_files as fetch
from pairdex.downloads.file_source import FileSource, RemoteSource
from pairdex.downloads.http_source import HttpSource
from pairdex.downloads.listing import list_files
from pairdex.downloads.object_stores import explained
from pairdex.downloads.retry import Hosts
from pairdex.downloads.streams import Interrupted
from pairdex.errors import FetchFailed, InvalidArgument, MissingExtra

from .conftest import TABLE, Served

PATHS = {"a.bin": 1000, "deep/b 1.bin": 2000, "deep/er/c=2.bin": 3000}


class Place:
    """A source with the files of PATHS at `url`, and a way to change one."""

    def __init__(self, source, url, put):
        self.source, self.url, self.put = source, url, put


@pytest.fixture
def web(retry):
    source = HttpSource(Hosts(retry()), retry())
    yield source
    source.close()


@pytest.fixture(params=["http", "file", "memory", "s3"])
def place(request, server, web, data, tmp_path):
    if request.param == "http":
        source = web

        def put(path, content):
            served = Served(
                content, etag=f'"{len(server.files)}-{len(content)}-{content[:4].hex()}"'
            )
            server.files[path.replace(" ", "%20")] = served

        made = Place(source, server.url, put)
    elif request.param == "file":
        folder = tmp_path / "a place"

        def put(path, content):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

        made = Place(FileSource(), f"file://{folder}".replace(" ", "%20"), put)
    elif request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        request.getfixturevalue("monkeypatch").setattr(object_source, "_RANGE_BYTES", 700)

        def put(path, content):
            bucket.store.put(f"folder/{path}", content)

        made = Place(object_source.ObjectSource(), f"{bucket.url}/folder", put)
    else:
        memory = pytest.importorskip("fsspec").filesystem("memory")
        memory.store.clear()

        def put(path, content):
            memory.pipe(f"/folder/{path}", content)

        made = Place(RemoteSource(), "memory://folder", put)
    for number, (path, count) in enumerate(PATHS.items()):
        made.put(path, data(count, number))
    return made


def read(source, *arguments):
    with source.open(*arguments) as stream:
        return stream, b"".join(stream.chunks)


def test_all_files_below_an_address_are_found_in_order(place):
    assert [entry.path for entry in place.source.find(place.url)] == list(PATHS)


def test_a_file_is_read_from_any_byte_on(place, data):
    for number, entry in enumerate(place.source.find(place.url)):
        content = data(list(PATHS.values())[number], number)
        for start in (0, 1, 500, len(content) - 1, len(content)):
            stream, got = read(place.source, entry.urls[0], start)
            assert (stream.start, stream.total) == (start, len(content))
            assert got == content[start:]


def test_a_file_is_gone_on_with_only_while_it_is_the_same(place, data):
    url = place.source.find(place.url)[0].urls[0]
    with place.source.open(url) as stream:
        validator = stream.validator
    stream, got = read(place.source, url, 400, validator)
    assert (stream.start, got) == (400, data(1000)[400:])
    place.put("a.bin", data(1200, 7))
    stream, got = read(place.source, url, 400, validator)
    assert (stream.start, got) == (0, data(1200, 7))


def test_a_file_that_has_become_shorter_is_read_from_the_beginning(place, data):
    url = place.source.find(place.url)[0].urls[0]
    place.put("a.bin", data(300, 7))
    stream, got = read(place.source, url, 400)
    assert (stream.start, got) == (0, data(300, 7))


def test_what_is_not_there_is_a_failure(place):
    with pytest.raises(FetchFailed, match="not there"):
        read(place.source, f"{place.url}/nothing.bin")
    with pytest.raises(FetchFailed, match=r"not there|not a folder|holds no files"):
        list_files(place.source, f"{place.url}/nothing/", parts=None, patterns=())


def test_everything_below_an_address_is_fetched(place, data, tmp_path, retry):
    report = fetch(place.url, tmp_path / "got", retry=retry())
    for number, (path, count) in enumerate(PATHS.items()):
        assert (tmp_path / "got" / path).read_bytes() == data(count, number)
    assert (report.files, report.bytes) == (3, 6000)
    assert fetch(place.url, tmp_path / "got", retry=retry()).fetched == 0


def test_a_mirror_may_be_a_folder(tmp_path, retry):
    (tmp_path / "m" / "metadata").mkdir(parents=True)
    (tmp_path / "m" / "metadata" / "metadata_5.parquet").write_bytes(TABLE)
    options = {"parts": frozenset([5]), "files": ["meta*"], "retry": retry()}
    report = fetch("laion400m", tmp_path / "got", mirror=f"file://{tmp_path}/m", **options)
    assert (report.files, report.failed) == (1, [])


def test_files_without_permission_and_folders_on_other_machines_are_failures(tmp_path):
    with pytest.raises(FetchFailed, match="another machine"):
        FileSource().find("file://elsewhere/folder")
    with pytest.raises(FetchFailed, match="cannot be read: it is a folder"):
        read(FileSource(), f"file://{tmp_path}")
    with pytest.raises(FetchFailed, match="is not a folder"):
        FileSource().find(f"file://{tmp_path}/nothing")


def test_an_address_of_no_known_kind_is_refused(tmp_path):
    pytest.importorskip("fsspec")
    with pytest.raises(InvalidArgument, match="of no known kind"):
        fetch("gopher://host/folder/", tmp_path)


@pytest.mark.parametrize("error", [OSError("reset"), ZeroDivisionError("a kind of its own")])
def test_errors_of_other_file_systems_are_tried_again_and_then_told(
    data, tmp_path, retry, clock, monkeypatch, error
):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.store.clear()
    memory.pipe("/folder/a.bin", data(5000))
    given = type(memory).open
    errors = [error]

    def troubled(self, path, mode, **options):
        if errors:
            raise errors.pop()
        return given(self, path, mode, **options)

    monkeypatch.setattr(type(memory), "open", troubled)
    assert fetch("memory://folder", tmp_path / "a", retry=retry()).files == 1
    assert clock.waits == [0.5]
    errors += [error] * 9
    report = fetch("memory://folder", tmp_path / "b", retry=retry())
    assert str(error) in report.failed[0].reason


def test_a_file_that_ends_before_its_size_is_a_failure(data, tmp_path, retry, monkeypatch):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.store.clear()
    memory.pipe("/folder/a.bin", data(5000))
    given = type(memory).info
    monkeypatch.setattr(type(memory), "info", lambda self, path: given(self, path) | {"size": 5010})
    report = fetch("memory://folder/a.bin", tmp_path, retry=retry())
    assert "it ended after 5,000 of 5,010 bytes" in report.failed[0].reason
    assert not (tmp_path / "a.bin").exists()


def test_without_the_extra_the_line_that_installs_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    for url in ("s3://bucket/folder/", "ftp://host/folder/"):
        with pytest.raises(MissingExtra, match=r"pip install 'pairdex\[remote\]'"):
            fetch(url, tmp_path)


@pytest.mark.parametrize("url", ["s3:///folder/", "s3://key:secret@bucket/folder/", "az://c/f/"])
def test_addresses_without_a_bucket_or_an_account_are_refused(tmp_path, url, bucket):
    with pytest.raises(
        InvalidArgument, match=r"names no bucket|cannot be opened.*variables"
    ) as caught:
        fetch(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_an_object_that_changes_while_it_is_read_is_read_again(
    bucket, data, tmp_path, retry, monkeypatch
):
    monkeypatch.setattr(object_source, "_RANGE_BYTES", 1000)
    bucket.store.put("a.bin", data(3000))
    source = object_source.ObjectSource()
    with source.open(f"{bucket.url}/a.bin") as stream:
        next(stream.chunks)
        bucket.store.put("a.bin", data(3000, 7))
        with pytest.raises(Interrupted, match="has changed"):
            next(stream.chunks)
    assert fetch(f"{bucket.url}/a.bin", tmp_path, retry=retry()).verified == 0
    assert (tmp_path / "a.bin").read_bytes() == data(3000, 7)


def test_a_bucket_that_is_not_there_and_a_store_that_is_down_are_failures(
    bucket, tmp_path, retry, monkeypatch
):
    report = fetch("s3://nowhere/a.bin", tmp_path, retry=retry())
    assert "s3://nowhere/a.bin is not there" in report.failed[0].reason
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    report = fetch(f"{bucket.url}/a.bin", tmp_path, retry=retry())
    assert "cannot be reached" in report.failed[0].reason


def test_what_an_object_store_says_is_shown_without_signatures():
    obstore = pytest.importorskip("obstore.exceptions")
    said = "Error performing GET https://me:pw@host/c/a?sv=1&sig=SECRET in 2 s"
    for error in (obstore.GenericError(said), obstore.PermissionDeniedError(said)):
        with pytest.raises((FetchFailed, Interrupted)) as caught, explained("az://c/a?sig=SECRET"):
            raise error
        assert "GET https://host/c/a in 2 s" in str(caught.value)
        assert "SECRET" not in str(caught.value)
        assert "pw" not in str(caught.value)


def test_the_package_is_imported_without_the_extra():
    code = "import sys, pairdex.cli; assert not {'fsspec', 'obstore'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
