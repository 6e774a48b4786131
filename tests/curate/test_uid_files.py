"""DataComp's files of uids select rows wherever ids do."""

import numpy as np
import pytest

import pairdex
from pairdex.curate.uid_files import ids_of_uids, is_uid_file
from pairdex.errors import DamagedFile, InvalidArgument
from pairdex.store.store import Store

UIDS = [f"{number:016x}{2**63 + number:016x}" for number in range(10)]


def save_uids(path, uids, dtype="u8,u8"):
    pairs = [(int(uid[:16], 16), int(uid[16:], 16)) for uid in uids]
    np.save(path, np.array(pairs, np.dtype(dtype)))
    return path


@pytest.fixture
def pool(make_parts, build, tmp_path):
    """A collection of ten rows with uids."""
    source = make_parts(10, columns={"uid": [*UIDS[:9], UIDS[9].upper()], "url": ["u"] * 10})
    build(source, tmp_path / "c")
    return tmp_path / "c"


@pytest.mark.parametrize("dtype", ["<u8,<u8", ">u8,>u8"])
def test_rows_are_found_by_their_uids(pool, tmp_path, dtype):
    path = save_uids(tmp_path / "subset.npy", [UIDS[9], UIDS[2], "f" * 32], dtype)
    assert is_uid_file(path)
    assert ids_of_uids(Store(pool), path).tolist() == [2, 9]


def test_uids_leave_rows_out_of_a_subset_and_remove_them(pool, tmp_path, run):
    path = save_uids(tmp_path / "subset.npy", UIDS[:4])
    done = run("subset", pool, tmp_path / "new", "--without", path, "--json")
    assert done.json["rows"] == 6
    done = run("remove", pool, "--ids", path, "--reason", "x", "--json")
    assert done.json["removed"] == 4
    assert len(pairdex.open(pool)) == 6


def test_a_collection_without_uids_is_named(collection, tmp_path):
    path = save_uids(tmp_path / "subset.npy", UIDS)
    with pytest.raises(InvalidArgument, match=r"holds uids, .* has no column uid; it has url"):
        ids_of_uids(Store(collection), path)


def test_a_truncated_file_is_named(pool, tmp_path):
    path = save_uids(tmp_path / "subset.npy", UIDS)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DamagedFile, match=r"subset\.npy cannot be read"):
        ids_of_uids(Store(pool), path)


def test_ids_are_not_taken_for_uids(tmp_path):
    np.save(tmp_path / "ids.npy", np.arange(5))
    (tmp_path / "text.npy").write_text("1\n2\n")
    assert not any(is_uid_file(tmp_path / name) for name in ("ids.npy", "text.npy", "absent.npy"))
