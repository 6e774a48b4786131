"""`pairdex verify` checks every byte of every file that a collection can have."""

import numpy as np
import pytest

import pairdex
from pairdex.errors import PairdexError

PLACES = 24  # of each file


@pytest.fixture
def everything(make_parts, build, tmp_path):
    """A collection with removed rows, codes, an index, look-ups and a projection; all that is derived."""

    def columns(number, count):
        return {
            "caption": [f"red car {number} {row}" for row in range(count)],
            "url": [f"http://a/{number}/{row}" for row in range(count)],
        }

    folder = tmp_path / "c"
    build(make_parts(300, 200, dim=16, columns=columns), folder)
    pairdex.index(folder)
    pairdex.project(folder, "pca8")
    opened = pairdex.open(folder)
    opened.prepare()
    opened.prepare_keywords()
    opened.find_urls([])
    pairdex.remove(folder, where="id = 7", reason="asked")
    return folder


def test_a_flipped_byte_in_any_file_is_found(everything):
    assert pairdex.verify(everything).damaged == []
    rng = np.random.default_rng(1)
    files = [path for path in sorted(everything.rglob("*")) if path.is_file()]
    folders = {str(path.relative_to(everything).parent) for path in files}
    indexes = {f"indexes/{name}" for name in ("image", "keywords", "urls")}
    assert {".", "image", "text", "metadata", "projections/pca8", *indexes} <= folders
    missed = []
    for path in files:
        whole = path.read_bytes()
        places = {0, len(whole) - 1, *rng.integers(0, len(whole), PLACES).tolist()} if whole else ()
        for place in places:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
            if not is_found(everything, path):
                missed.append((str(path.relative_to(everything)), place))
        path.write_bytes(whole)
    assert missed == []


def is_found(collection, path):
    try:
        damaged = pairdex.verify(collection).damaged
    except PairdexError as error:
        return path.name in str(error)
    return str(path.relative_to(collection)) in {damage.file for damage in damaged}
