"""Collections pushed to and pulled from an S3 server on the loopback."""

import subprocess
import sys

import numpy as np
import pytest

import pairdex
from moto_buckets import KEY
from pairdex.derived.verify import verify
from pairdex.downloads.retry import Retry
from pairdex.errors import (
    CollectionBusy,
    DamagedFile,
    FetchFailed,
    InvalidArgument,
    MissingExtra,
    WriteFailed,
)
from pairdex.files import checksums
from pairdex.sharing import object_target
from pairdex.sharing.listing import LISTING
from pairdex.sharing.object_target import ObjectTarget
from pairdex.sharing.place import Place
from pairdex.sharing.target import Upload
from pairdex.store.manifest import MANIFEST


def names_in(bucket):
    return {each["path"] for some in bucket.store.list() for each in some}


def test_a_collection_goes_through_a_bucket(collection, bucket, tmp_path, tree):
    url = f"{bucket.url}/shared/c"
    pushed = pairdex.push(collection, url)
    pulled = pairdex.pull(url, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(collection)
    assert pushed.sent == pulled.fetched == pushed.files
    assert all(name.startswith("shared/c/") for name in names_in(bucket))
    assert (pairdex.push(collection, url).sent, pairdex.pull(url, tmp_path / "copy").received) == (
        0,
        0,
    )


def test_only_what_changed_goes_to_the_bucket(collection, bucket, tmp_path, make_parts, build):
    pairdex.push(collection, bucket.url)
    pairdex.pull(bucket.url, tmp_path / "copy")
    build(make_parts(30, 10, 20, 5), collection)
    pairdex.remove(collection, where="width < 103", reason="takedown 1")
    assert pairdex.push(collection, bucket.url).sent == 5
    assert pairdex.pull(bucket.url, tmp_path / "copy").fetched == 5
    assert len(pairdex.open(tmp_path / "copy")) == 65 - 12
    assert verify(tmp_path / "copy").damaged == []


def test_retired_objects_are_deleted(collection, bucket, make_parts, build):
    for rows in ((30, 10, 20), (30, 10, 20, 5), (30, 10, 20, 5, 4), (30, 10, 20, 5, 4, 3)):
        build(make_parts(*rows), collection)
        pairdex.push(collection, bucket.url)
    assert sum(name.startswith(MANIFEST) for name in names_in(bucket)) == 2


def test_a_push_goes_on_behind_the_objects_that_arrived_before(collection, bucket):
    pairdex.push(collection, bucket.url)
    bucket.store.delete(LISTING)
    bucket.store.put("image/00001.npy", b"of something else")
    assert pairdex.push(collection, bucket.url).sent == 1


def test_a_push_killed_in_between_shows_nothing_and_is_ended_by_the_next(
    collection, bucket, tmp_path, tree
):
    code = f"""
import os, signal, pairdex
from pairdex.sharing.object_target import ObjectTarget
put, seen = ObjectTarget.put, []
def counting(self, upload, advance):
    seen.append(upload.name)
    if len(seen) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, upload, advance)
ObjectTarget.put = counting
pairdex.push({str(collection)!r}, {bucket.url!r}, jobs=1)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with pytest.raises(FetchFailed, match="holds no published collection"):
        pairdex.pull(bucket.url, tmp_path / "copy")
    assert len(names_in(bucket)) == 3
    report = pairdex.push(collection, bucket.url)
    assert report.sent == report.files - 3
    pairdex.pull(bucket.url, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(collection)


def test_two_pushes_at_once_do_not_overwrite_each_other(collection, bucket, monkeypatch):
    from pairdex.sharing import push

    send = push._send

    def overtaken(*arguments):
        monkeypatch.setattr(push, "_send", send)
        pairdex.push(collection, bucket.url)
        return send(*arguments)

    monkeypatch.setattr(push, "_send", overtaken)
    with pytest.raises(CollectionBusy, match=r"another push to s3://.* ended meanwhile"):
        pairdex.push(collection, bucket.url)
    assert pairdex.push(collection, bucket.url).sent == 0


def test_a_large_file_goes_in_parts_and_a_damaged_one_not_at_all(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(object_target, "_BLOCK_BYTES", 5 << 20)
    data = np.random.default_rng(1).bytes(12 << 20)
    (tmp_path / "large").write_bytes(data)
    target, seen = ObjectTarget(Place(f"{bucket.url}/c")), []
    upload = Upload("large", len(data), checksums.of_bytes(data), tmp_path / "large")
    target.put(upload, seen.append)
    assert sum(seen) == len(data)
    found = bucket.store.get("c/large")
    assert found.meta["e_tag"].endswith('-3"')
    assert bytes(found.bytes()) == data
    assert target.has(upload)
    wrong = Upload("wrong", len(data), "0" * 32, tmp_path / "large")
    with pytest.raises(DamagedFile, match="expected 0000"):
        target.put(wrong, seen.append)
    assert not target.has(wrong)


def test_a_missing_bucket_and_a_store_that_is_down_are_one_line(
    collection, bucket, tmp_path, monkeypatch
):
    with pytest.raises(WriteFailed, match="create the bucket first"):
        pairdex.push(collection, "s3://nowhere/c")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    retry = Retry(attempts=2, first_attempts=2, sleep=lambda _: None)
    target = ObjectTarget(Place(bucket.url), retry)
    with pytest.raises(FetchFailed, match=r"cannot be reached: .*, 2 times in a row") as caught:
        target.put(Upload("a", 1, checksums.of_bytes(b"a"), b"a"), lambda _: None)
    assert KEY not in str(caught.value)
    with pytest.raises(WriteFailed, match="push again"):
        target.publish(LISTING, b"", None, [])


def test_credentials_are_neither_printed_nor_published(collection, bucket, tmp_path, run):
    out = run("push", collection, f"{bucket.url}/c", "--json")
    assert KEY not in out.out + out.err
    for name in names_in(bucket):
        assert KEY.encode() not in bytes(bucket.store.get(name).bytes())
    complaint = run("push", collection, f"s3://me:{KEY}@{bucket.name}/c").complaint
    assert KEY not in complaint
    assert "names no bucket" in complaint


def test_without_the_extra_the_line_that_installs_it_is_said(collection, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pairdex\[remote\]'"):
        pairdex.push(collection, "s3://bucket/c")
    with pytest.raises(InvalidArgument, match="nothing can be pushed"):
        pairdex.push(collection, "ftp://host/c")
