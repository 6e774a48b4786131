"""Sizes are numbers of bytes, or texts such as 4GB."""

import pytest

from pairdex.errors import InvalidArgument
from pairdex.work.sizes import parse_size


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        (1, 1),
        ("1", 1),
        ("500MB", 500 * 10**6),
        (" 4 gb ", 4 * 10**9),
        ("1.5GB", 1_500_000_000),
        ("0.1TB", 10**11),
        ("2GiB", 2 * 2**30),
        ("16K", None),
    ],
)
def test_sizes_are_read_as_people_write_them(size, n_bytes):
    if n_bytes is None:
        with pytest.raises(InvalidArgument):
            parse_size(size)
    else:
        assert parse_size(size) == n_bytes


@pytest.mark.parametrize("size", [0, -1, "", "0GB", "lots", "4PB", "4 G B", "-1GB", "1e9", "٤GB"])
def test_what_is_no_size_is_refused_with_the_arguments_name(size):
    with pytest.raises(InvalidArgument, match=r"memory is .*, expected a size like") as caught:
        parse_size(size)
    assert caught.value.field == "memory"
