"""HDF5 filters that are not installed are named, and used where they are."""

import sys

import h5py
import numpy as np
import pytest

from pairdex.errors import MissingExtra
from pairdex.files.hdf5_filters import check_filters

ZSTD = 32015


def write_compressed(path, code):
    """A file that says of its chunks that a filter made them; no filter is needed to write it."""
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 8))
        plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((4, 8))
        kind = h5py.h5t.IEEE_F32LE
        made = h5py.h5d.create(file.id, b"emb", kind, space, plist)
        made.write_direct_chunk((0, 0), np.ones((4, 8), "<f4").tobytes())


@pytest.fixture
def compressed(tmp_path, monkeypatch):
    """A file whose filter is not there, as if no plugins were installed."""
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    write_compressed(tmp_path / "bundle.h5", ZSTD)
    return tmp_path / "bundle.h5"


def test_a_filter_that_is_not_installed_is_named_with_what_to_install(compressed):
    if h5py.h5z.filter_avail(ZSTD):
        pytest.skip("this HDF5 brings the zstd filter")
    with (
        h5py.File(compressed) as file,
        pytest.raises(
            MissingExtra, match=r"emb is .* filter 32015 \(zstd\).* pip install hdf5plug"
        ),
    ):
        check_filters(compressed, file["emb"])


def test_a_filter_that_plugins_bring_is_used(compressed, monkeypatch, tmp_path):
    marker, folder = tmp_path / "registered", tmp_path / "packages"
    folder.mkdir()
    (folder / "hdf5plugin.py").write_text(f"import pathlib; pathlib.Path({str(marker)!r}).touch()")
    monkeypatch.delitem(sys.modules, "hdf5plugin")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code == ZSTD and marker.exists())
    with h5py.File(compressed) as file:
        check_filters(compressed, file["emb"])
    assert marker.exists()


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"compression": "lzf"}])
def test_filters_that_h5py_brings_need_nothing(tmp_path, options):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        made = file.create_dataset("emb", data=np.ones((4, 8)), **options)
        check_filters(tmp_path / "file.h5", made)


def test_a_bundle_with_such_a_filter_is_told_by_the_build(compressed, run, tmp_path):
    if h5py.h5z.filter_avail(ZSTD):
        pytest.skip("this HDF5 brings the zstd filter")
    complaint = run("build", compressed, tmp_path / "c").complaint
    assert "which is not installed: pip install hdf5plugin" in complaint
