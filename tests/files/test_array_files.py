"""Files of arrays: the same arrays come back, and their source is known without reading them."""

import numpy as np
import pytest

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.array_files import open_arrays, read_source, write_arrays

ARRAYS = {"row": np.arange(7, dtype=np.uint32), "hash": np.arange(5, dtype=np.uint64)}


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "00000", ARRAYS, kind="urls", version=1, source="abc")
    return tmp_path / "00000"


def test_arrays_come_back_where_the_source_is_the_same(path):
    found = open_arrays(path, kind="urls", version=1, source="abc")
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)
    assert open_arrays(path, kind="urls", version=1, source="other") is None


def test_the_source_is_read_from_the_header_alone(path):
    assert read_source(path, kind="urls", version=1) == "abc"
    data = bytearray(path.read_bytes())
    data[-64] ^= 1
    path.write_bytes(data)
    assert read_source(path, kind="urls", version=1) == "abc"
    with pytest.raises(DamagedFile, match="00000 is damaged: its checksum does not match"):
        open_arrays(path, kind="urls", version=1, source=None)


def test_a_file_that_is_absent_damaged_or_foreign_is_told_apart(path):
    assert read_source(path.with_name("00001"), kind="urls", version=1) is None
    with pytest.raises(UnsupportedFormat, match="has format version 1, this release reads"):
        read_source(path, kind="urls", version=2)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DamagedFile, match="00000 is damaged: it is cut off"):
        read_source(path, kind="urls", version=1)
