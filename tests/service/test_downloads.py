"""Hits as files: what is in them, and that nobody's spreadsheet runs them."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

import pairdex
from pairdex.service.app import make_app
from pairdex.service.downloads import guarded, write

NASTY = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain", None]


def download(client, **body):
    response = client.post("/api/download", json=body)
    assert response.status_code == 200, response.text
    return response


@pytest.fixture
def nasty(make_parts, build, tmp_path):
    """A client of a collection whose captions and URLs want to be something else."""
    columns = {
        "url": [
            "http://a.example/1,2.jpg",
            'http://a.example/"3".jpg',
            " http://a.example/4.jpg ",
            None,
            "",
            "http://a.example/\nhttp://evil.example/",
            "=cmd|' /C calc'!A0",
            "http://ä.example/7.jpg",
        ],
        "caption": NASTY,
        "score": [-1.5, 2.0, float("nan"), None, 0.0, 1.0, 1.0, 1.0],
        "tags": pa.array([["=a"]] * 8),
    }
    build(make_parts(8, columns=columns), tmp_path / "my c")
    return TestClient(make_app([pairdex.open(tmp_path / "my c")]), base_url="http://localhost")


ALL = {"vector": [1.0] * 8, "k": 8}


def test_json_lines_are_the_hits_of_the_search(client):
    body = {"text": "a red car", "k": 30, "where": "width > 10"}
    response = download(client, **body, format="jsonl")
    rows = [json.loads(line) for line in response.text.splitlines()]
    assert rows == client.post("/api/search", json=body).json()["hits"]
    assert response.headers["content-type"] == "application/jsonl"
    assert response.headers["content-disposition"] == 'attachment; filename="scenes.jsonl"'


def test_more_rows_than_a_page_may_have_are_sent(tmp_path, make_parts, build):
    build(make_parts(2_000), tmp_path / "c")
    client = TestClient(make_app([pairdex.open(tmp_path / "c")]), base_url="http://localhost")
    body = {"like": 5, "k": 1_600, "safe": False}
    assert client.post("/api/search", json=body).status_code == 422
    for form, count in (("jsonl", 1_600), ("csv", 1_601), ("urls", 1_600)):
        assert len(download(client, **body, format=form).text.splitlines()) == count
    table = pq.read_table(io.BytesIO(download(client, **body, format="parquet").content))
    assert len(table) == 1_600
    assert len(set(table["id"].to_pylist())) == 1_600
    response = client.post("/api/download", json={"like": 5, "k": 10_001, "format": "csv"})
    assert response.json()["error"]["field"] == "k"


def test_safe_mode_holds_for_downloads(collection):
    client = TestClient(make_app([pairdex.open(collection)]), base_url="http://localhost")
    rows = download(client, like=1, k=60, format="jsonl").text.splitlines()
    assert {json.loads(row)["nsfw"] for row in rows} == {"UNLIKELY"}


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("a=1", "a=1"),
        (" =1", " =1"),
        ("", ""),
        (-1.5, -1.5),
        (None, None),
        (["=a"], '["=a"]'),
    ],
)
def test_no_cell_begins_like_a_formula(cell, kept):
    assert guarded(cell) == kept


def test_captions_in_csv_are_no_formulas(nasty):
    text = download(nasty, **ALL, format="csv").text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    captions = [row["caption"] for row in sorted(rows, key=lambda row: int(row["id"]))]
    assert captions == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "plain", ""]
    assert {row["score"] for row in rows} >= {"-1.5", "2.0", ""}


def test_a_column_that_is_named_like_a_formula_is_none_in_csv():
    assert b"".join(write(pa.table({"=A1": ["x"]}), "csv")) == b"'=A1\r\nx\r\n"


def test_captions_that_attack_stay_text(client):
    row = client.get("/api/items/7").json()
    lines = download(client, like=8, k=199, format="jsonl").text.splitlines()
    assert row["caption"] in [json.loads(line)["caption"] for line in lines]
    response = download(client, like=8, k=199, format="csv")
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "attachment" in response.headers["content-disposition"]


def test_urls_are_read_as_img2dataset_reads_them(nasty):
    content = download(nasty, **ALL, format="urls").content
    # What img2dataset.reader does with a txt file.
    options = pyarrow.csv.ReadOptions(column_names=["url"])
    urls = pyarrow.csv.read_csv(io.BytesIO(content), read_options=options)["url"].to_pylist()
    assert sorted(urls) == sorted(
        [
            "http://a.example/1,2.jpg",
            'http://a.example/"3".jpg',
            "http://a.example/4.jpg",
            "=cmd|' /C calc'!A0",
            "http://ä.example/7.jpg",
        ]
    )


def test_parquet_has_the_columns_that_img2dataset_takes(nasty):
    response = download(nasty, **ALL, format="parquet")
    table = pq.read_table(io.BytesIO(response.content), columns=["url", "caption"])
    assert sorted(map(str, table["caption"].to_pylist())) == sorted(map(str, NASTY))
    assert response.headers["content-disposition"] == 'attachment; filename="my-c.parquet"'


def test_vectors_come_as_they_are_stored(client, collections):
    stored = collections[0].vectors("image")
    body = {"like": 3, "k": 5, "vectors": True}
    hits = client.post("/api/search", json=body).json()["hits"]
    for hit in hits:
        assert hit["vector"] == stored[hit["id"]].astype(float).tolist()
    table = pq.read_table(io.BytesIO(download(client, **body, format="parquet").content))
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), stored[table["id"]])
    lines = download(client, **body, format="jsonl").text.splitlines()
    assert json.loads(lines[0]) == hits[0]
    assert "vector" not in client.post("/api/search", json={"like": 3}).json()["hits"][0]


def test_vectors_are_of_the_kind_that_is_searched(client, collections):
    hit = client.post("/api/search", json={"like": 3, "k": 1, "on": "text", "vectors": True}).json()
    found = hit["hits"][0]
    assert found["vector"] == collections[0].vectors("text")[found["id"]].astype(float).tolist()


@pytest.mark.parametrize("form", [None, "exe", "../etc", 5])
def test_other_formats_are_refused(client, form):
    response = client.post("/api/download", json={"like": 1, "format": form})
    assert response.status_code == 422
    assert response.json()["error"]["field"] == "format"


def test_no_hits_are_an_empty_file(client):
    body = {"like": 1, "where": "width < 0"}
    assert download(client, **body, format="jsonl").content == b""
    assert download(client, **body, format="urls").content == b""
    assert len(download(client, **body, format="csv").text.splitlines()) == 1
    table = pq.read_table(io.BytesIO(download(client, **body, format="parquet").content))
    assert (len(table), table.column_names[0]) == (0, "id")
