"""Notes of unfinished work: believed only while every byte is the one that was written."""

import logging

import numpy as np
import pytest

from pairdex.files.unfinished import read_note, write_note
from pairdex.ivf.spill import Spill

NOTE = {"fingerprint": "abc", "rows": [1, 2, 3], "checksum": "of something else"}


def test_a_note_is_read_as_it_was_written(tmp_path):
    write_note(tmp_path / "note.json", NOTE)
    assert read_note(tmp_path / "note.json") == NOTE


def test_there_may_be_no_note(tmp_path):
    assert read_note(tmp_path / "note.json") is None


def test_no_flipped_bit_of_a_note_is_believed(tmp_path, caplog):
    path = tmp_path / "note.json"
    write_note(path, NOTE)
    written = path.read_bytes()
    for place in range(len(written)):
        data = bytearray(written)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        assert read_note(path) is None, place
    assert "cannot be resumed" in caplog.text
    assert str(path) in caplog.text


DTYPE = np.dtype([("list", "<i8"), ("row", "<i8")])


def spilled(folder):
    """A spill of 100 records in two lists with a checkpoint."""
    spill = Spill(folder, key="k", dtype=DTYPE, nlist=2, rows=100)
    records = np.zeros(100, DTYPE)
    records["list"], records["row"] = np.arange(100) % 2, np.arange(100)
    if spill.rows == 0:
        spill.add(records)
        spill.keep()
    return spill


def test_a_spill_goes_on_at_its_checkpoint(tmp_path):
    spilled(tmp_path / "spill")
    again = Spill(tmp_path / "spill", key="k", dtype=DTYPE, nlist=2, rows=100)
    assert again.rows == 100
    assert again.take(0)["row"].tolist() == [*range(0, 100, 2), *range(1, 100, 2)]


@pytest.mark.parametrize("place", [0, 7, 800, 1599])
def test_a_flipped_bit_in_spilled_rows_begins_the_step_again(tmp_path, caplog, place):
    spilled(tmp_path / "spill")
    file = tmp_path / "spill" / "00000.rows"
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        again = Spill(tmp_path / "spill", key="k", dtype=DTYPE, nlist=2, rows=100)
    assert again.rows == 0
    assert "begins again" in caplog.text
    again = spilled(tmp_path / "spill")
    assert again.take(0)["row"].tolist() == [*range(0, 100, 2), *range(1, 100, 2)]
