"""Whether a file is whole by its own format: real files are, all their beginnings are not."""

import hashlib
import io

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.downloads.catalogue import load_catalogue
from pairdex.downloads.contents import check_contents
from pairdex.errors import DamagedFile

MODEL = "binwalk-model-nrefs=1024-permsize=64.jld2"


def written(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def hdf5(file):
    with h5py.File(file, "w") as content:
        content["emb"] = np.ones((50, 8), np.float16)


VECTORS = np.ones((50, 8), np.float16)
FILES = {
    "a.npy": written(lambda file: np.save(file, VECTORS)),
    "empty.npy": written(lambda file: np.save(file, VECTORS[:0])),
    "a.npz": written(lambda file: np.savez(file, b32_img=VECTORS)),
    "a.parquet": written(lambda file: pq.write_table(pa.table({"url": ["x"] * 50}), file)),
    "a.h5": written(hdf5),
}


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_accepted_and_none_of_its_beginnings(tmp_path, name):
    path = tmp_path / "arrived.part"
    path.write_bytes(FILES[name])
    check_contents(path, name)
    for count in {0, 1, 4, 10, len(FILES[name]) // 2, len(FILES[name]) - 1}:
        path.write_bytes(FILES[name][:count])
        with pytest.raises(DamagedFile):
            check_contents(path, name)


def test_files_of_other_kinds_are_not_judged(tmp_path):
    (tmp_path / "a").write_bytes(b"anything")
    check_contents(tmp_path / "a", "meta-10M.tsv")


def test_the_organisers_model_is_whole_and_has_the_catalogues_md5(real_data):
    entry = next(e for e in load_catalogue()["sisap-2023"].entries if e.name == MODEL)
    content = (real_data / MODEL).read_bytes()
    check_contents(real_data / MODEL, MODEL)
    assert (len(content), hashlib.md5(content).hexdigest()) == (entry.bytes, entry.md5)
