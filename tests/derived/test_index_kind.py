"""Renewing an index keeps its settings."""

import shutil

import pytest

import pairdex
from conftest import laion_columns, save_part, unit_rows
from pairdex.derived.index import find_index, renew_index
from pairdex.ivf.parameters import DEFAULT_RECALL, choose
from pairdex.store.store import Store

DIM, ROWS = 200, 400  # wide enough for compact to code fewer coordinates than fast


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("renewed")
    add_part(root, 0, ROWS)
    pairdex.build(root / "parts", root / "c")
    return root


@pytest.fixture
def root(sources, tmp_path):
    return shutil.copytree(sources, tmp_path / "root")


def add_part(root, number, rows):
    image, text = (unit_rows(rows, DIM, seed=2 * number + one) for one in (0, 1))
    save_part(root / "parts", number, image, text, laion_columns(number, rows))


def found(root):
    index, points = find_index(Store(root / "c"), "image")
    return index.file.header, points


def test_recall_and_size_are_kept_when_parts_are_added(root):
    pairdex.index(root / "c", recall=0.8, size="compact")
    add_part(root, 1, 50)
    pairdex.build(root / "parts", root / "c")
    report = renew_index(root / "c", "image")
    assert (report.how, report.size, report.asked) == ("extended", "compact", 0.8)
    header, points = found(root)
    assert (header.rows, points.recall) == (ROWS + 50, 0.8)
    assert header.coded == choose(ROWS, DIM, size="compact").coded < DIM - 2


def test_vectors_left_on_disk_stay_on_disk(root, tree):
    need = pairdex.index(root / "c", size="compact").bytes + 96 * 2**20
    for room in range(0, 4_000_000, 20_000):  # find the least memory that is enough
        try:
            report = pairdex.index(root / "c", size="compact", memory=need + room)
        except pairdex.PairdexError:
            continue
        break
    assert report.on_disk
    before = tree(root / "c")
    report = renew_index(root / "c", "image")
    assert (report.how, report.on_disk) == ("unchanged", True)
    assert tree(root / "c") == before


def test_a_missing_or_damaged_index_is_made_with_the_defaults(root):
    assert renew_index(root / "c", "image").how == "built"
    header, points = found(root)
    assert (points.recall, header.coded) == (DEFAULT_RECALL, DIM - 2)
    path = root / "c/indexes/image/ivf"
    path.write_bytes(b"no index")
    assert renew_index(root / "c", "image").how == "built"
    assert found(root)[0] == header
