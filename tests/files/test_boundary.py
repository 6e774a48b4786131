"""The boundary of readers: one short line, whatever a library says."""

import pytest

from pairdex.errors import DamagedFile, MissingFile
from pairdex.files.boundary import reading, reason_of


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("it is\nodd.\x1b"), "it is odd"),
        (ValueError("x" * 300), "x" * 200),
        (EOFError(), "it ends early"),
        (KeyError(), "KeyError"),
        (MemoryError(), "it needs more memory than there is (of an unknown size)"),
        (MemoryError("2 GB"), "it needs more memory than there is (2 GB)"),
    ],
)
def test_what_an_error_says_becomes_one_short_line(error, said):
    assert reason_of(error) == said


def test_an_error_of_a_library_names_the_file_and_what_to_do():
    said = r"^a\.npy cannot be read: it is odd; write it again$"
    with pytest.raises(DamagedFile, match=said), reading("a.npy", advice="write it again"):
        raise ValueError("it is odd")


def test_our_own_errors_pass():
    with pytest.raises(MissingFile, match=r"^it is not there$"), reading("a.npy"):
        raise MissingFile("it is not there")
