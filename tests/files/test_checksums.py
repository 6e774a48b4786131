"""Checksums: known values, the same for bytes and files."""

import pytest

from pairdex.files import checksums

# Published by the reference implementation: XXH3 of 128 bits, canonical order.
EMPTY = "99aa06d3014798d86001c324468d497f"


def test_nothing_has_the_checksum_of_the_reference_implementation(tmp_path):
    (tmp_path / "empty").touch()
    assert checksums.of_bytes(b"") == EMPTY
    assert checksums.of_file(tmp_path / "empty") == EMPTY


@pytest.mark.parametrize("size", [1, 240, 241, 4 << 20, (4 << 20) + 1, 9_000_001])
def test_a_file_has_the_checksum_of_its_bytes(tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert checksums.of_file(tmp_path / "file") == checksums.of_bytes(data[:size])


def test_one_flipped_bit_changes_the_checksum():
    data = bytearray(1000)
    sums = {checksums.of_bytes(bytes(data))}
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        sums.add(checksums.of_bytes(bytes(data)))
        data[bit // 8] ^= 1 << bit % 8
    assert len(sums) == 8 * len(data) + 1


def test_the_checksum_of_several_files_depends_on_each_and_on_their_order():
    assert checksums.of_all(["ab", "cd"]) == checksums.of_bytes(b"ab\ncd")
    assert checksums.of_all([]) == EMPTY
    sums = {checksums.of_all(some) for some in (["ab", "cd"], ["cd", "ab"], ["ab"], ["abcd"])}
    assert len(sums) == 4
