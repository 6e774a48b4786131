"""Ids, vectors and results go in and out of pandas, polars and Arrow."""

import numpy as np
import pyarrow as pa
import pytest

import pairdex


def arrow_lists(rows):
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


def pandas():
    return pytest.importorskip("pandas")


def polars():
    return pytest.importorskip("polars", reason="polars is an optional package")


IDS = {
    "arrow": pa.array,
    "chunked": lambda ids: pa.chunked_array([ids]),
    "pandas": lambda ids: pandas().Series(ids),
    "polars": lambda ids: polars().Series(ids),
}
VECTORS = {
    "arrow": arrow_lists,
    "chunked": lambda rows: pa.chunked_array([arrow_lists(rows)]),
    "pandas": lambda rows: pandas().DataFrame(rows),
    "pandas lists": lambda rows: pandas().Series(list(rows)),
    "polars": lambda rows: polars().DataFrame(rows),
    "polars lists": lambda rows: polars().Series(rows),
}


@pytest.mark.parametrize("kind", IDS)
def test_rows_are_taken_by_a_column_of_ids(collection, kind):
    ids = IDS[kind]([5, 17, 59])
    opened = pairdex.open(collection)
    assert opened.take(ids)["width"].to_pylist() == opened.take([5, 17, 59])["width"].to_pylist()
    assert opened[ids]["id"].to_pylist() == [5, 17, 59]


@pytest.mark.parametrize("kind", VECTORS)
def test_the_nearest_are_found_for_a_frame_or_column_of_vectors(collection, kind):
    opened = pairdex.open(collection)
    rows = opened.vectors("image")[:3].astype(np.float32)
    assert np.array_equal(opened.nearest(VECTORS[kind](rows), 2).ids, opened.nearest(rows, 2).ids)


@pytest.mark.parametrize("kind", IDS)
def test_a_column_is_one_vector(collection, kind):
    opened = pairdex.open(collection)
    row = opened.vectors("image")[7].astype(np.float32)
    assert opened.search(IDS[kind](row), k=3).ids.tolist() == opened.search(row, k=3).ids.tolist()


def test_vectors_of_different_lengths_are_an_error(collection):
    ragged = pa.array([[0.5, 1.0], [1.0]])
    with pytest.raises(pairdex.PairdexError, match="vectors cannot become an array") as caught:
        pairdex.open(collection).nearest(ragged, 2)
    assert caught.value.field == "vectors"


def test_arrow_strings_are_urls(collection):
    urls = pa.array(["https://example.org/0/2.jpg", "https://example.org/0/3.jpg"])
    assert pairdex.remove(collection, urls=urls, reason="test").removed == 2
    assert len(pairdex.open(collection)) == 58


def test_hits_are_read_by_anything_that_reads_arrow(collection):
    hits = pairdex.open(collection).search(like=3, k=4)
    assert pa.table(hits).equals(hits.table)
    assert pandas().DataFrame.from_records(list(hits))["id"].tolist() == hits.ids.tolist()
    assert hits.to_pandas()["id"].tolist() == hits.ids.tolist()


def test_hits_become_a_frame_of_polars(collection):
    hits = pairdex.open(collection).search(like=3, k=4)
    assert polars().DataFrame(hits).equals(hits.to_polars())
    assert hits.to_polars()["id"].to_list() == hits.ids.tolist()
