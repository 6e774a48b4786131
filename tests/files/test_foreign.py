"""Files that stand for others are recognised, and files that are whole are not taken for them."""

import numpy as np
import pytest

from pairdex.errors import DamagedFile
from pairdex.files.foreign import UNFINISHED, foreign, unfinished
from pairdex.files.vectors import open_vectors

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (POINTER, "is a Git LFS pointer, not the file itself; run git lfs pull"),
        ("/annex/objects/SHA256E-s1--0.npy\n", "is a git-annex pointer.*git annex get"),
        ("<!DOCTYPE html><html><body>404", "is a web page"),
        ("\n\n  <HTML>\n<head>", "is a web page"),
        ("\ufeff<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "is a web page"),
        ('{"error": "Repository not found"}', "is a server's answer"),
        ("Entry not found", "is a server's answer"),
        ("", "is empty; fetch it again"),
        ("\0" * 5000, "begins with zeros: its place was reserved"),
    ],
)
@pytest.mark.parametrize("name", ["vectors.npy", "vectors.npz"])
def test_what_lies_in_the_place_of_a_file_is_named(tmp_path, content, told, name):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DamagedFile, match=f"{name} {told}"):
        open_vectors(path, "emb" if name.endswith("npz") else None)


def test_whole_files_and_absent_ones_are_not_taken_for_others(tmp_path):
    np.save(tmp_path / "vectors.npy", np.zeros((1000, 4)))
    assert foreign(tmp_path / "vectors.npy") is None
    assert foreign(tmp_path / "absent") is None
    (tmp_path / "caption.txt").write_text("a version of https://git-lfs")
    assert foreign(tmp_path / "caption.txt") is None


@pytest.mark.parametrize("suffix", UNFINISHED)
def test_a_file_that_is_still_fetched_is_known_by_what_lies_beside_it(tmp_path, suffix):
    path = tmp_path / "img_emb_0.npy"
    assert unfinished(path) is None
    beside = tmp_path / f"img_emb_0.npy{suffix}"
    beside.touch()
    assert unfinished(path) == beside
