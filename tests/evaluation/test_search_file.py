"""Searching for the vectors of a file: the same rows as one search after the other, in result files."""

import json

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.evaluation.search_file import search_file, write_hits


@pytest.fixture
def queries(tmp_path):
    vectors = np.random.default_rng(5).standard_normal((3, 8)).astype(np.float32)
    np.save(tmp_path / "queries.npy", vectors)
    return tmp_path / "queries.npy"


def test_it_finds_what_a_search_for_each_vector_finds(collection, queries):
    opened = Collection.open(collection)
    found = search_file(opened, queries, k=4, where="width < 115")
    ids, distances = opened.nearest(np.load(queries), 4, where="width < 115")
    assert found.ids.tolist() == ids.tolist()
    assert found.distances.tolist() == distances.tolist()
    assert found.seconds > 0
    assert found.report.exact


def test_the_result_file_says_what_was_searched_and_how(collection, queries, tmp_path):
    opened, out = Collection.open(collection), tmp_path / "r.h5"
    found = search_file(opened, queries, k=4, on="text", out=out)
    with h5py.File(out) as file:
        assert (file["knns"][:] - 1).tolist() == found.ids.tolist()
        assert file["knns"].attrs["collection_checksum"] == opened.checksum
        assert (file.attrs["algo"], file.attrs["params"]) == (
            "pairdex exact",
            "k=4 on=text by=codes",
        )
        facts = file["knns"].attrs
        assert facts["answered_by"] == "exact"
        assert facts["threads"] >= 1
        assert facts["peak_memory_bytes"] > 2**20
        assert "GiB" in facts["machine"]
        assert facts["created_by"].startswith("pairdex ")


def test_the_build_time_is_that_of_codes_made_now_and_left_out_if_unknown(
    collection, queries, tmp_path
):
    times = []
    for name, options in (("a", {}), ("b", {}), ("c", {"use_codes": False})):
        opened = Collection.open(collection, **options)
        search_file(opened, queries, k=4, out=tmp_path / f"{name}.h5")
        with h5py.File(tmp_path / f"{name}.h5") as file:
            times.append(file.attrs.get("buildtime"))
    assert times[0] > 0
    assert times[1:] == [None, 0.0]


def test_parquet_says_it_too(collection, queries, tmp_path):
    search_file(Collection.open(collection), queries, k=4, out=tmp_path / "r.parquet")
    facts = json.loads(pq.read_schema(tmp_path / "r.parquet").metadata[b"pairdex"])
    assert (facts["algo"], facts["answered_by"]) == ("pairdex exact", "exact")


def test_a_file_that_cannot_be_written_is_refused_before_the_search(collection, queries, tmp_path):
    with pytest.raises(InvalidArgument, match=r"expected \.h5 or \.parquet"):
        search_file(Collection.open(collection), queries, out=tmp_path / "r.txt")


def test_hits_become_a_table_with_metadata_or_a_result_file(collection, tmp_path):
    opened = Collection.open(collection)
    hits = opened.search(7, k=5, where="width > 0")
    how = {"collection": opened, "on": "image", "seconds": 0.5}
    how["options"] = {"k": 5, "where": "width > 0", "exact": False}
    write_hits(tmp_path / "hits.parquet", hits, **how)
    assert pq.read_table(tmp_path / "hits.parquet").equals(hits.table)
    write_hits(tmp_path / "hits.h5", hits, **how)
    with h5py.File(tmp_path / "hits.h5") as file:
        assert (file["knns"][0] - 1).tolist() == hits.table["id"].to_pylist()
        assert file.attrs["querytime"] == 0.5
        assert file.attrs["params"] == "k=5 on=image by=codes where=width > 0"
