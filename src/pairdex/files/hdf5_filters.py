"""Compression of HDF5 datasets by filters that h5py does not bring."""

from __future__ import annotations

import importlib
from pathlib import Path

import h5py

from pairdex.errors import MissingExtra

__all__ = ["check_filters"]

_PLUGINS = "hdf5plugin"  # a package that brings many filters; importing it registers them
_NAMES = {
    305: "LZO",
    307: "bzip2",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "zstd",
    32017: "SZ",
    32026: "Blosc2",
}


def check_filters(path: Path, data: h5py.Dataset) -> None:
    """Make the filters of a dataset available.

    Raises
    ------
    MissingExtra
        It is compressed with a filter that is not installed.
    """
    plist = data.id.get_create_plist()
    codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    missing = [code for code in codes if not h5py.h5z.filter_avail(code)]
    if not missing:
        return
    try:
        importlib.import_module(_PLUGINS)
    except ImportError:
        pass
    else:
        missing = [code for code in missing if not h5py.h5z.filter_avail(code)]
    if missing:
        known = f" ({_NAMES[missing[0]]})" if missing[0] in _NAMES else ""
        raise MissingExtra(
            f"{path}: {data.name.strip('/')} is compressed with the HDF5 filter {missing[0]}{known}, which "
            "is not installed: pip install hdf5plugin, or save the file again with gzip"
        )
