"""The one door to HDF5: what leads out of a file is refused by name, before a byte of it is read."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.curate.id_files import read_ids_of
from pairdex.derived.projections.models import read_model
from pairdex.downloads.contents import check_contents
from pairdex.errors import DamagedFile, MissingExtra, PairdexError, UnsupportedFormat
from pairdex.files.hdf5 import HDF5_SUFFIXES, followed, open_hdf5, read_whole, text_of
from pairdex.files.neighbour_files import read_facts, read_kinds, read_neighbours
from pairdex.files.query_files import read_queries, read_query_set
from pairdex.parts.bundle import open_bundle

SECRET = b"the secret of another file: " + bytes(range(256)) * 4
NAMES = ("emb", "knns", "dists", "ids", "refs", "pool", "kind", "deep/er/emb")


def external_storage(file, name, secret):
    file.create_dataset(name, shape=(8, 8), dtype="f2", external=[(str(secret), 0, 128)])


def external_link(file, name, secret):
    file[name] = h5py.ExternalLink(str(secret), "/emb")


def virtual(file, name, secret):
    layout = h5py.VirtualLayout((8, 8), "f2")
    layout[:] = h5py.VirtualSource(str(secret), "emb", shape=(8, 8))
    file.create_virtual_dataset(name, layout)


def virtual_of_itself(file, name, secret):
    layout = h5py.VirtualLayout((8, 8), "f2")
    layout[:] = h5py.VirtualSource(".", name, shape=(8, 8))
    file.create_virtual_dataset(name, layout)


def soft_link_to_an_external_one(file, name, secret):
    file["way"] = h5py.ExternalLink(str(secret), "/")
    file[name] = h5py.SoftLink("/way/emb")


LEADS_OUT = [
    external_storage,
    external_link,
    virtual,
    virtual_of_itself,
    soft_link_to_an_external_one,
]

READERS = {
    "queries": read_queries,
    "query set": read_query_set,
    "neighbours": read_neighbours,
    "facts": read_facts,
    "kinds": read_kinds,
    "bundle": open_bundle,
    "model of a projection": read_model,
    "ids": lambda path: read_ids_of(None, path),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("leads_out", LEADS_OUT)
def test_no_reader_follows_what_leads_out_of_a_file(tmp_path, reader, leads_out):
    secret = tmp_path / "secret"
    if leads_out in (external_storage, virtual_of_itself):
        secret.write_bytes(SECRET)
    else:
        with h5py.File(secret, "w") as file:
            file["emb"] = np.frombuffer(SECRET[:128], "f2").reshape(8, 8)
    path = tmp_path / "hostile.h5"
    with h5py.File(path, "w") as file:
        for name in NAMES[: 1 if leads_out is soft_link_to_an_external_one else None]:
            leads_out(file, name, secret)
    with pytest.raises(UnsupportedFormat, match=r"hostile\.h5: .* is .*, which may read any other"):
        READERS[reader](path)


def test_a_dataset_that_only_a_reference_leads_to_is_looked_at_too(tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    path = tmp_path / "model.jld2"
    with h5py.File(path, "w") as file:
        external_storage(file, "hidden", tmp_path / "secret")
        file.create_dataset("way", (), h5py.ref_dtype)[()] = file["hidden"].ref
        hidden = file["hidden"]
        del file["hidden"]  # it stays in the file, without a name, as Julia's JLD2 does it
        assert hidden.name is None
        # HDF5 frees it when the last handle is closed, so one of these has to be kept by a link.
        file["kept"] = hidden
    with pytest.raises(UnsupportedFormat, match="kept is external storage"), open_hdf5(path):
        pass
    with h5py.File(path) as file, pytest.raises(UnsupportedFormat, match="is external storage"):
        followed(file, file["way"][()])


def test_a_filter_that_is_not_installed_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "zstd.h5"
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4, 4))
    plan.set_filter(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FLAG_OPTIONAL, (4,))
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((8, 4))
        h5py.h5d.create(file.id, b"emb", h5py.h5t.IEEE_F16LE, space, dcpl=plan)
    data = path.read_bytes()
    message = data.index(b"deflate\0")  # a filter's number stands eight bytes before its name
    number = data[message - 8 : message - 6]
    assert number == (1).to_bytes(2, "little")
    path.write_bytes(data[: message - 8] + (32015).to_bytes(2, "little") + data[message - 6 :])
    with pytest.raises(
        MissingExtra, match=r"emb is compressed with .* 32015 \(zstd\), which is not"
    ):
        open_bundle(path)
    check_contents(path, "zstd.h5")  # it has arrived whole


def test_a_table_that_claims_more_than_is_stored_is_damaged(tmp_path):
    path = tmp_path / "claims.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("emb", (1 << 36, 768), "f2", chunks=(1 << 10, 768), compression="gzip")
    with pytest.raises(DamagedFile, match=r"emb claims .* bytes, of which 0 are stored"):
        read_queries(path)


def test_a_table_that_compresses_well_is_read(tmp_path):
    path = tmp_path / "zeros.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("emb", data=np.zeros((1 << 16, 700), "f2"), compression="gzip")
    with open_hdf5(path) as file:
        assert not read_whole(file["emb"]).any()


def test_links_that_stay_in_the_file_are_followed_and_circles_end(tmp_path):
    rows = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data/rows"] = rows
        file["emb"] = h5py.SoftLink("/data/rows")
        file["circle"] = file["/"]
        file["data/circle"] = file["data"]
    np.testing.assert_array_equal(read_queries(tmp_path / "a.h5"), rows)


def test_texts_that_are_not_utf8_stay_readable(tmp_path):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file["knns"] = np.array([[1, 2]])
        file["dists"] = np.array([[0.1, 0.2]])
        file.attrs["algo"] = b"caf\xe9"
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(4)
        kind.set_cset(h5py.h5t.CSET_UTF8)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        attribute = h5py.h5a.create(file.id, b"b\xe9", kind, space)
        attribute.write(np.array(b"caf\xe9", "S4"), kind)
    facts = read_neighbours(path).facts
    assert facts["algo"] == "caf\ufffd"
    assert facts["b\ufffd"] == "caf\ufffd"
    assert text_of("a\udce9") == "a\ufffd"
    "".join(map(str, [*facts, *facts.values()])).encode()


def test_too_many_objects_are_not_walked_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("pairdex.files.hdf5._MAX_OBJECTS", 20)
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        for number in range(30):
            file.create_group(str(number))
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file.create_group("/".join("a" * 30))
    for name in ("wide.h5", "deep.h5"):
        with pytest.raises(UnsupportedFormat, match="more than 20"):
            read_queries(tmp_path / name)


def test_nothing_else_in_the_package_opens_hdf5_for_reading():
    root = Path(pairdex.__file__).parent
    found = {}
    for path in root.rglob("*.py"):
        calls = re.findall(r"\bFile\(([^)\n]*)", path.read_text())
        opened = [call for call in calls if not re.search(r'^\w+, "[wx]"', call)]
        if opened:
            found[path.relative_to(root).as_posix()] = opened
    assert set(found) == {"files/hdf5.py"}


@pytest.mark.parametrize("suffix", HDF5_SUFFIXES)
def test_every_suffix_of_hdf5_is_read_as_such(tmp_path, suffix):
    with h5py.File(tmp_path / f"a{suffix}", "w") as file:
        file["emb"] = np.ones((2, 3), np.float32)
    assert read_queries(tmp_path / f"a{suffix}").shape == (2, 3)
    (tmp_path / f"b{suffix}").write_bytes(b"no HDF5")
    with pytest.raises(PairdexError, match="is not an HDF5 file"):
        read_queries(tmp_path / f"b{suffix}")
