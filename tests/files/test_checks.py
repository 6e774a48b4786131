"""Checks of files: what differs is said, what is whole is not."""

from dataclasses import dataclass

import pytest

from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.files import checksums
from pairdex.files.checks import checksum_check, reading_check

CONTENT = b"0123456789"


@dataclass(frozen=True)
class Recorded:
    path: str = "file"
    bytes: int = len(CONTENT)
    checksum: str = checksums.of_bytes(CONTENT)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").write_bytes(CONTENT)
    return tmp_path / "inner/file"


@pytest.fixture
def check(tmp_path, path):
    return checksum_check(tmp_path, Recorded(), folder="inner", remedy="make it again")


def test_a_whole_file_has_no_damage(check):
    assert (check.file, check.bytes, check.remedy) == ("inner/file", 10, "make it again")
    assert check.find_damage() is None


def test_other_bytes_another_size_and_no_file_are_told_apart(check, path):
    path.write_bytes(CONTENT[::-1])
    assert check.find_damage() == (
        f"its checksum is {checksums.of_bytes(CONTENT[::-1])}, expected {Recorded().checksum}"
    )
    path.write_bytes(CONTENT[:-1])
    assert check.find_damage() == "it has 9 bytes, expected 10"
    path.unlink()
    assert check.find_damage() == "it is missing"


def test_paths_are_relative_to_the_collection_by_default(tmp_path, path):
    recorded = Recorded(path="inner/file")
    check = checksum_check(tmp_path, recorded, remedy="")
    assert (check.file, check.find_damage()) == ("inner/file", None)


@pytest.mark.parametrize("error", [DamagedFile, UnsupportedFormat, Mismatch])
def test_what_reading_says_of_damage_is_the_reason(tmp_path, path, error):
    def read():
        raise error("it is cut off")

    check = reading_check(tmp_path, path, read, remedy="make it again")
    assert (check.file, check.bytes) == ("inner/file", 10)
    assert check.find_damage() == "it is cut off"
    assert reading_check(tmp_path, path, path.read_bytes, remedy="").find_damage() is None


def test_an_error_of_ours_is_no_damage(tmp_path, path):
    with pytest.raises(ZeroDivisionError):
        reading_check(tmp_path, path, lambda: 1 / 0, remedy="").find_damage()
