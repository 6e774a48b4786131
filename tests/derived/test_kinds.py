"""All kinds of derived data behave alike: made, outdated once parts are added, extended, verified, described."""

import contextlib
import shutil
from importlib.util import find_spec

import numpy as np
import pytest

import pairdex
from conftest import save_part, unit_rows
from pairdex.derived.kinds import KINDS
from pairdex.errors import PairdexError
from pairdex.store.store import Store

DIM, FIRST, MORE = 16, 96, 48
NAMES = {
    "codes": "image",
    "ivf": "text",
    "graph": "image",
    "projection": "pca8",
    "score": "aesthetic",
}
FLIPS = 12  # bytes of each file that are flipped, one after the other


def columns(number, rows):
    return {
        "caption": [f"red car {number} {row}" for row in range(rows)],
        "url": [f"https://example.org/{number}/{row}" for row in range(rows)],
    }


def add_part(parts, number, rows):
    image, text = (unit_rows(rows, DIM, seed=2 * number + one) for one in (0, 1))
    save_part(parts, number, image, text, columns(number, rows))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A folder of one part, and the collection built from it."""
    root = tmp_path_factory.mktemp("kinds")
    add_part(root / "parts", 0, FIRST)
    pairdex.build(root / "parts", root / "collection")
    return root


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    path = tmp_path_factory.mktemp("head") / "aesthetic.npz"
    np.savez(path, weight=np.linspace(-3, 3, DIM)[None, :], bias=np.array([5.0]))
    return path


@pytest.fixture
def root(sources, tmp_path):
    """A copy of both that a test may change."""
    return shutil.copytree(sources, tmp_path / "root")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request):
    if request.param.name == "atlas" and find_spec("umap") is None:
        pytest.skip("umap-learn is absent: pip install 'pairdex[atlas]'")
    return request.param


@pytest.fixture
def make(kind, head):
    """A function that makes data of the kind, or extends it, and returns its name."""
    name = NAMES.get(kind.name, kind.name)

    def run(collection):
        if kind.make is not None:
            kind.make(collection, name, None)
        else:
            pairdex.score(collection, aesthetic=head)
        return name

    return run


def described(collection, kind):
    """The entries of `info` for the kind."""
    return [one for one in pairdex.info(collection).derived if one.kind == kind.name]


def files_of(collection, kind, name):
    return [collection / check.file for check in kind.checks(collection, name)]


def states(collection, kind):
    paths = [path for pattern in kind.files for path in collection.glob(pattern)]
    return {(str(path), path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def test_data_is_made_becomes_outdated_and_is_extended(kind, make, root):
    collection = root / "collection"
    assert (kind.find(collection), described(collection, kind)) == ([], [])
    assert states(collection, kind) == set()

    name = make(collection)
    assert kind.find(collection) == [name]
    (made,) = described(collection, kind)
    assert (made.name, made.current, made.rows) == (name, True, FIRST)
    assert made.bytes > 0
    assert made.title
    first = states(collection, kind)
    assert first

    make(collection)
    assert states(collection, kind) == first  # there was nothing to do

    add_part(root / "parts", 1, MORE)
    pairdex.build(root / "parts", collection)
    assert kind.find(collection) == [name]
    (stale,) = described(collection, kind)
    assert not stale.current
    assert stale.rows in (None, FIRST)
    assert pairdex.verify(collection).damaged == []

    make(collection)
    (extended,) = described(collection, kind)
    assert (extended.current, extended.rows) == (True, FIRST + MORE)
    assert states(collection, kind) != first


def test_removing_rows_does_not_make_data_outdated(kind, make, root):
    collection = root / "collection"
    make(collection)
    pairdex.remove(collection, ids=[3], reason="asked")
    (one,) = described(collection, kind)
    assert one.current


def test_verify_names_every_file_with_a_flipped_byte(kind, make, root):
    collection = root / "collection"
    before = {path for path in collection.rglob("*") if path.is_file()}
    name = make(collection)
    written = {path for path in collection.rglob("*") if path.is_file()} - before
    assert set(files_of(collection, kind, name)) == written
    rng = np.random.default_rng(5)
    missed = []
    for path in sorted(written):
        whole = path.read_bytes()
        for place in {0, len(whole) - 1, *rng.integers(0, len(whole), FLIPS).tolist()}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
            damaged = {damage.file for damage in pairdex.verify(collection).damaged}
            if damaged != {str(path.relative_to(collection))}:
                missed.append((path.name, place, damaged))
        path.write_bytes(whole)
    assert missed == []


def test_deleted_data_can_be_made_again(kind, make, root):
    collection = root / "collection"
    name = make(collection)
    for path in files_of(collection, kind, name):
        path.unlink()
    assert kind.find(collection) == []
    assert len(pairdex.open(collection)) == FIRST
    make(collection)
    (one,) = described(collection, kind)
    assert one.current


def test_data_of_a_collection_without_rows_is_made_or_refused(kind, make, root):
    empty = root / "empty"
    pairdex.build(root / "parts", empty, where="false")
    with contextlib.suppress(PairdexError):
        make(empty)
    assert pairdex.verify(empty).damaged == []
    assert all(one.current for one in pairdex.info(empty).derived)


def test_kinds_have_distinct_names_and_files(sources):
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    patterns = [pattern for kind in KINDS for pattern in kind.files]
    assert len(set(patterns)) == len(patterns)
    assert all(kind.find(sources / "collection") == [] for kind in KINDS)
    store = Store(sources / "collection")
    assert store.manifest.vectors_checksum("image") != store.manifest.vectors_checksum("text")
