"""A sealed JSON file is read only in the very bytes it was written in."""

from pathlib import Path

import pytest

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.sealed_json import read_sealed, seal_of, sealed

CONTENT = {"format": "thing", "version": 1, "name": "Ärger", "rows": [1, 2]}


def read(data):
    return read_sealed(data, Path("f.json"), kind="thing", version=1, remedy="make it again")


def test_what_was_sealed_comes_back():
    assert read(sealed(CONTENT)) == CONTENT


def test_the_seal_does_not_depend_on_the_order_of_the_keys():
    assert seal_of(dict(reversed(CONTENT.items()))) == seal_of(CONTENT)


@pytest.mark.parametrize(("old", "new"), [(b"1", b"2"), (b" ", b"  "), (b"\n}", b"}"), (b"]", b"")])
def test_another_byte_is_noticed(old, new):
    data = sealed(CONTENT)
    at = data.rindex(old)
    with pytest.raises((DamagedFile, UnsupportedFormat), match=r"f\.json"):
        read(data[:at] + new + data[at + len(old) :])


def test_content_with_a_checksum_of_its_own_is_refused():
    with pytest.raises(ValueError, match="has a checksum of its own: 'mine'"):
        sealed({**CONTENT, "checksum": "mine"})


def test_a_foreign_file_and_a_newer_version_are_distinguished():
    with pytest.raises(UnsupportedFormat, match='expected "format": "thing"'):
        read(sealed({**CONTENT, "format": "other"}))
    with pytest.raises(UnsupportedFormat, match="version 2, this release reads version 1"):
        read(sealed({**CONTENT, "version": 2}))
