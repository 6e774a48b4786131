"""Verifying and opening find and name every flipped bit, missing file and foreign file."""

import json

import numpy as np
import pytest

from pairdex.collection import Collection
from pairdex.derived.verify import verify
from pairdex.errors import DamagedFile, MissingFile, PairdexError, UnsupportedFormat
from pairdex.store.manifest import read_manifest, write_manifest
from pairdex.store.metadata import MetadataFile
from pairdex.store.store import Store

FILES = [
    f"{kind}/0000{part}.{suffix}"
    for kind, suffix in (("image", "npy"), ("text", "npy"), ("metadata", "arrow"))
    for part in range(3)
]


def flip(path, place, bits=1):
    data = bytearray(path.read_bytes())
    data[place] ^= bits
    path.write_bytes(data)


def test_an_undamaged_collection_passes(collection):
    report = verify(collection)
    assert report.damaged == []
    assert report.files == len(FILES)
    assert report.bytes == sum((collection / name).stat().st_size for name in FILES)


def test_progress_ends_at_all_bytes(collection):
    seen = []
    report = verify(collection, progress=lambda *step: seen.append(step))
    assert seen == sorted(seen)
    assert seen[-1] == ("verifying", report.bytes, report.bytes)


@pytest.mark.parametrize("place", [0, 20, 130, -9, -1])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_data_file_is_found(collection, name, place):
    flip(collection / name, place)
    (damage,) = verify(collection).damaged
    assert damage.file == name
    assert "its checksum is" in damage.reason


def test_a_missing_file_and_one_of_another_size_are_found(collection):
    (collection / "image/00000.npy").unlink()
    with (collection / "text/00001.npy").open("r+b") as file:
        file.truncate(100)
    with (collection / "metadata/00002.arrow").open("ab") as file:
        file.write(b"x")
    (collection / "image/00002.npy").unlink()
    (collection / "image/00002.npy").mkdir()
    found = {damage.file: damage.reason for damage in verify(collection).damaged}
    assert found["image/00000.npy"] == "it is missing"
    assert found["text/00001.npy"] == "it has 100 bytes, expected 288"
    assert "expected" in found["metadata/00002.arrow"]
    assert set(found) == {
        "image/00000.npy",
        "text/00001.npy",
        "metadata/00002.arrow",
        "image/00002.npy",
    }


@pytest.mark.parametrize("place", [0, 9, 200, 5_000, -1])
def test_a_flipped_bit_in_the_codes_is_found(collection, place):
    Collection.open(collection).nearest(np.ones((1, 8), np.float32), 3)
    path = collection / "indexes/image/codes"
    assert verify(collection).files == len(FILES) + 1
    if place >= path.stat().st_size:
        pytest.skip("the file of codes is shorter than that")
    flip(path, place)
    (damage,) = verify(collection).damaged
    assert damage.file == "indexes/image/codes"


def test_a_flip_anywhere_in_the_manifest_keeps_the_collection_from_opening(
    make_parts, build, tmp_path
):
    collection = tmp_path / "c"
    build(make_parts(3, text=False, columns={"url": ["a", "b", "c"]}), collection)
    path = collection / "collection.json"
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data)
        flip(path, place, bits=(1, 4, 16, 41, 128, 255)[place % 6])
        with pytest.raises(PairdexError, match=r"collection\.json"):
            read_manifest(collection)
    with pytest.raises(PairdexError, match=r"collection\.json"):
        verify(collection)


def test_added_white_space_in_the_manifest_is_damage(collection):
    path = collection / "collection.json"
    path.write_bytes(path.read_bytes().replace(b"\n ", b"\n\t", 1))
    with pytest.raises(
        DamagedFile, match="its checksum does not match; build the collection again"
    ):
        Store(collection)


def test_a_manifest_truncated_anywhere_is_refused(collection):
    path = collection / "collection.json"
    data = path.read_bytes()
    for length in range(0, len(data), 29):
        path.write_bytes(data[:length])
        with pytest.raises(PairdexError, match=r"collection\.json"):
            Store(collection)


def test_a_newer_format_version_is_refused_with_both_versions(collection):
    path = collection / "collection.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "version": 2}))
    with pytest.raises(
        UnsupportedFormat,
        match=r"has format version 2, this release reads version 1; upgrade pairdex",
    ):
        Store(collection)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "null", "3", '"text"', '{"format": "other"}', '{"format": ["x"]}']
)
def test_foreign_json_is_not_a_manifest(collection, content):
    (collection / "collection.json").write_text(content)
    with pytest.raises(
        UnsupportedFormat, match=r"collection\.json is not the manifest of a pairdex-coll"
    ):
        Store(collection)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"not json"])
def test_invalid_json_is_damage(collection, content):
    (collection / "collection.json").write_bytes(content)
    with pytest.raises(DamagedFile, match=r"collection\.json is damaged: it is not JSON"):
        Store(collection)


def test_a_folder_without_a_collection_is_an_error_that_says_how_to_make_one(tmp_path):
    (tmp_path / "file").touch()
    for place in ("absent", "", "file"):
        with pytest.raises(
            MissingFile, match=r"is not a collection: .*; make one with pairdex build"
        ):
            Store(tmp_path / place)


@pytest.mark.parametrize("name", FILES)
def test_opening_names_a_missing_or_truncated_file(collection, name):
    path = collection / name
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 1)
    with pytest.raises(
        DamagedFile,
        match=f"{name} is damaged: it has {size - 1:,} bytes, the manifest says {size:,}",
    ):
        Store(collection)
    path.unlink()
    with pytest.raises(MissingFile, match=f"{name} is missing from the collection; build it again"):
        Store(collection)


def test_a_header_that_does_not_match_the_manifest_is_an_error(collection):
    header = (collection / "image/00001.npy").read_bytes()
    (collection / "image/00001.npy").write_bytes(header.replace(b"(10, 8)", b"(8, 10)"))
    with pytest.raises(
        DamagedFile, match=r"00001\.npy is damaged: it has .* vectors of .* dimensions"
    ):
        Store(collection).vectors("image")


def test_flipped_metadata_never_reads_outside_the_file(collection):
    """Arrow does not check offsets; a damaged one could crash the process."""
    path = collection / "metadata/00001.arrow"
    data = path.read_bytes()
    messages = []
    for place in range(0, len(data), 2):
        path.write_bytes(data)
        flip(path, place, bits=0xC1)
        try:
            file = MetadataFile(path, 10)
            file.take(np.array([7, 1])).to_pylist()
            next(file.tables()).to_pylist()
        except PairdexError as error:
            messages.append(str(error))
    assert len(messages) > 500
    assert all("00001.arrow is damaged" in line and "\n" not in line for line in messages)


def test_columns_that_do_not_match_the_manifest_are_an_error(collection):
    (collection / "metadata/00001.arrow").write_bytes(
        (collection / "metadata/00001.arrow").read_bytes().replace(b"caption\0", b"capshun\0")
    )
    with pytest.raises(
        DamagedFile, match=r"00001\.arrow is damaged: its columns do not match the manifest"
    ):
        Store(collection)


def test_a_manifest_stores_names_that_are_not_utf8(make_parts, build, tmp_path):
    """The name of a folder may contain any bytes."""
    build(make_parts(3), tmp_path / "caf\udce9")
    manifest = read_manifest(tmp_path / "caf\udce9")
    assert manifest.name == "caf\udce9"
    write_manifest(tmp_path / "caf\udce9", manifest)
    assert read_manifest(tmp_path / "caf\udce9") == manifest
