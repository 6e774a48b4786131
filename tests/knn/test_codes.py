"""The file of codes: what is in it, what it refuses, and what a search by it reports."""

import json

import numpy as np
import pytest

from pairdex.errors import DamagedFile, Mismatch, MissingFile, UnsupportedFormat
from pairdex.knn.code_basis import fit_basis, orthogonality_error, sample_rows
from pairdex.knn.codes import build_codes, open_codes, verify_codes
from pairdex.knn.cosine import nearest

N, DIM = 40_000, 70


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    return (rng.standard_normal((N, DIM)) * np.linspace(1, 0.05, DIM) + 0.5).astype(np.float16)


@pytest.fixture(scope="module")
def path(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("codes") / "codes"
    build_codes(np.split(rows, [1, 20_000]), path, source="these", threads=2)
    return path


def test_most_rows_are_ruled_out_by_their_codes(rows, path):
    queries = rows[:50].astype(np.float32)
    found = nearest([rows], queries, 10, codes=open_codes(path, rows=N, dim=DIM))
    assert found.report.certified
    assert found.report.scanned == 50 * N
    assert 50 * 10 <= found.report.rechecked < 50 * N * 0.01
    assert found.ids[:, 0].tolist() == list(range(50))


def test_codes_take_little_more_than_a_byte_a_coordinate(tmp_path):
    rows = np.random.default_rng(1).standard_normal((4096, 512)).astype(np.float16)
    build_codes([rows], tmp_path / "codes")
    assert (tmp_path / "codes").stat().st_size - 512 * 512 * 4 - 4096 <= 4096 * (512 + 40)


def test_texts_become_a_direction_of_their_own():
    rng = np.random.default_rng(1)
    images = (rng.standard_normal((500, 20)) + 3).astype(np.float16)
    texts = (rng.standard_normal((300, 20)) + np.arange(20)).astype(np.float16)
    basis = fit_basis(sample_rows([images]), sample_rows([texts]))
    means = [sample_rows([one]).mean(axis=0) for one in (images, texts)]
    for mean in means:  # both means lie in the plane of the two directions that are kept exactly
        np.testing.assert_allclose(
            np.linalg.norm(basis[:2] @ mean), np.linalg.norm(mean), rtol=1e-4
        )
    assert orthogonality_error(basis.astype(np.float64)) < 1e-5


def test_sample_reaches_through_all_blocks_and_leaves_out_rows_without_direction():
    rows = np.random.default_rng(1).uniform(1, 2, (100_000, 3)).astype(np.float16)
    rows[::7] = 0
    sample = sample_rows(np.split(rows, [3, 3, 50_001]))
    assert 14_000 < len(sample) < 16_000
    np.testing.assert_allclose(np.linalg.norm(sample, axis=1), 1, rtol=1e-6)


def test_progress_counts_to_the_last_row(rows, tmp_path):
    seen = []
    build_codes([rows], tmp_path / "codes", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(16_384, N), (32_768, N), (N, N)]


def test_same_rows_give_the_same_bytes(rows, path, tmp_path):
    build_codes([rows], tmp_path / "again", source="these")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_interrupted_build_leaves_nothing(rows, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_codes([rows], tmp_path / "codes", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_codes_of_other_vectors_are_refused(rows, path):
    with pytest.raises(
        Mismatch, match="was made from vectors with rows 40000, these have rows 5: delete the file"
    ):
        open_codes(path, rows=5, dim=DIM)
    with pytest.raises(
        Mismatch, match="was made from vectors with source these, these have source those"
    ):
        open_codes(path, rows=N, dim=DIM, source="those")
    codes = open_codes(path, rows=N, dim=DIM, source="these")
    with pytest.raises(
        Mismatch, match="the codes are of 40000 rows of dim 70, the blocks of 39999"
    ):
        nearest([rows[1:]], rows[:1].astype(np.float32), 1, codes=codes)


def damaged(path, folder, change):
    data = bytearray(path.read_bytes())
    changed = change(data)
    (folder / "codes").write_bytes(data if changed is None else changed)
    return folder / "codes"


def flip(at):
    def change(data):
        data[at] ^= 16

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (flip(0), UnsupportedFormat, "is not a file of codes"),
        (flip(8), UnsupportedFormat, "format version 17, this release reads 1"),
        (flip(60), DamagedFile, "the header of .* differs from its checksum"),
        (flip(5000), DamagedFile, "the basis in .* differs from its checksum"),
        (lambda data: data[:-1], DamagedFile, "bytes of codes, expected"),
        (lambda data: data[:3000], DamagedFile, "ends in its header"),
        (lambda data: data[:0], UnsupportedFormat, "is not a file of codes"),
    ],
)
def test_damaged_or_foreign_file_is_refused(path, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        open_codes(damaged(path, tmp_path, change), rows=N, dim=DIM)


@pytest.mark.parametrize(("at", "plane"), [(100_000, "head"), (-100, "rest")])
def test_verify_finds_a_flipped_bit_in_a_plane(path, tmp_path, at, plane):
    verify_codes(path)
    with pytest.raises(DamagedFile, match=f"the {plane} plane in .* differs from its checksum"):
        verify_codes(damaged(path, tmp_path, flip(at)))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match="codes does not exist"):
        open_codes(tmp_path / "codes", rows=1, dim=1)


def test_header_is_readable_json(path):
    page = path.read_bytes()[:4096]
    header = json.loads(page[page.index(b"{") : page.index(b"\0", page.index(b"{"))])
    assert (header["rows"], header["dim"], header["source"]) == (N, DIM, "these")
