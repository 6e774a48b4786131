"""The token from a file, and the names that a service answers to."""

import pytest

from pairdex.errors import InvalidArgument, MissingFile
from pairdex.service.access import check_hosts, read_token


def test_a_token_is_the_only_line_of_its_file(tmp_path):
    (tmp_path / "t").write_text("  SECRET \n")
    assert read_token(tmp_path / "t") == "SECRET"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"one\ntwo\n", "is not one line of text"),
        (b"\xff\xfe", "is not one line of text"),
        (b"x" * 4097, "is larger than 4,096 bytes"),
    ],
)
def test_a_file_without_a_token_is_refused(tmp_path, content, reason):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(InvalidArgument, match=reason):
        read_token(tmp_path / "t")


def test_a_file_that_is_missing_is_said(tmp_path):
    with pytest.raises(MissingFile, match=r"the token file .* does not exist"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize("name", ["localhost", "Gallery.Example", "[::1]", "127.0.0.1", "my_host"])
def test_names_are_accepted(name):
    check_hosts([name])


@pytest.mark.parametrize("name", ["https://x", "x:443", "x/y", "*.x", "", "::1", "a b"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(InvalidArgument, match="without https:// and without a port"):
        check_hosts([name])
