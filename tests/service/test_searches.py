"""Searches that go together answer what each would by itself."""

import asyncio

import numpy as np
import pytest

import pairdex
from coroutines import run_to_end
from pairdex.errors import InvalidArgument
from pairdex.search import Query
from pairdex.service.catalogue import Catalogue
from pairdex.service.metrics import Metrics
from pairdex.service.searches import Searches
from pairdex.service.workers import Workers
from served import sample


@pytest.fixture
def searches(collections):
    """Searches of the drawn scenes: a function that runs many at once."""
    catalogue, workers = Catalogue(collections), Workers()
    metrics = Metrics(catalogue)
    searching = Searches(workers, metrics)

    def find_all(*asked):
        async def all_of_them():
            served = catalogue.pick(None)
            return await asyncio.gather(
                *(searching.find(served, query, **{**DEFAULTS, **how}) for query, how in asked),
                return_exceptions=True,
            )

        return run_to_end(all_of_them())

    find_all.metrics = metrics
    yield find_all
    workers.close()


DEFAULTS = {"on": "image", "where": None, "k": 10, "offset": 0, "hybrid": True}


def alone(collection, query, how):
    how = {**DEFAULTS, **how}
    table = collection.search(query, **how)
    return table.as_json()


def test_many_at_once_are_each_answered_as_by_itself(searches, collections):
    vectors = collections[0].vectors().__array__().astype(np.float32)
    asked, methods = [], set()
    for number in range(40):
        query = [
            Query(text=["a red car", "a red car 0", "cat"][number % 3]),
            Query(like=number),
            Query(vector=vectors[number]),
            Query(text="a house", unlike="night"),
            Query(like=number, unlike="a red car"),
        ][number % 5]
        how = {
            "k": [1, 10, 40, 199][number % 4],
            "offset": [0, 3, 150][number % 3],
            "on": ["image", "text"][number % 2],
            "where": [None, "width > height", "id < 5"][number % 7 % 3],
            "hybrid": number % 4 > 0,
        }
        asked.append((query, how))
    for (query, how), found in zip(asked, searches(*asked), strict=True):
        expected = alone(collections[0], query, how)
        assert [hit["id"] for hit in found.hits] == [hit["id"] for hit in expected], (query, how)
        for hit, other in zip(found.hits, expected, strict=True):
            assert hit == {**other, "distance": hit["distance"], "similarity": hit["similarity"]}
            assert hit["distance"] == pytest.approx(other["distance"], abs=1e-6)
        assert found.report.exact
        assert (found.report.method == "hybrid") == (found.report.words != ())
        methods.add(found.report.method)
    assert methods == {"vectors", "hybrid"}


def test_they_are_searched_in_fewer_calls_than_they_are(searches, monkeypatch):
    calls = []
    neighbours = pairdex.Collection.nearest

    def counted(self, vectors, *arguments, **options):
        calls.append(len(vectors))
        return neighbours(self, vectors, *arguments, **options)

    monkeypatch.setattr(pairdex.Collection, "nearest", counted)
    searches(*[(Query(like=number), {}) for number in range(60)])
    assert sum(calls) == 60
    assert len(calls) < 5


def test_a_text_is_encoded_once(searches, collections, monkeypatch):
    encoded = []
    encode = type(collections[0].encoder).encode_texts

    def counted(self, texts):
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(type(collections[0].encoder), "encode_texts", counted)
    searches((Query(text="a red car"), {}), (Query(text="a red car"), {"k": 3}))
    searches((Query(text="a red car"), {}), (Query(text="a tree"), {}))
    assert sorted(encoded) == ["a red car", "a tree"]
    assert 'pairdex_cache_requests_total{cache="text",result="hit"} 1' in searches.metrics.text()


def test_one_that_cannot_be_answered_spoils_no_other(searches):
    bad, good = searches((Query(text=" "), {}), (Query(text="a red car"), {}))
    assert isinstance(bad, InvalidArgument)
    assert bad.field == "text"
    assert len(good.hits) == 10


def test_kinds_of_searches_that_have_ended_are_forgotten(searches, monkeypatch):
    monkeypatch.setattr("pairdex.service.limits.KEPT_BATCHES", 3)
    for number in range(20):
        searches((Query(like=1), {"where": f"id > {number}"}))
    held = searches.__closure__
    (searching,) = [c.cell_contents for c in held if isinstance(c.cell_contents, Searches)]
    assert len(searching._searching) <= 5


def test_vectors_of_texts_are_forgotten_above_a_number(searches, monkeypatch):
    monkeypatch.setattr("pairdex.service.limits.KEPT_TEXTS", 3)
    for number in range(6):
        searches((Query(text=f"{number} cats"), {}))
    held = searches.__closure__
    (searching,) = [c.cell_contents for c in held if isinstance(c.cell_contents, Searches)]
    assert [text for _, text in searching._texts._kept] == ["3 cats", "4 cats", "5 cats"]


def test_a_row_that_is_removed_after_it_was_found_is_not_a_hit(searches, collections, monkeypatch):
    """Between the search and the reading of its rows."""
    (before,) = searches((Query(like=1), {"k": 5}))
    gone = before.hits[2]["id"]
    live = np.ones(len(collections[0]), np.bool_)
    live[gone] = False
    monkeypatch.setattr(pairdex.Collection, "live", property(lambda _: live))
    (after,) = searches((Query(like=1), {"k": 5}))
    assert [hit["id"] for hit in after.hits] == [
        hit["id"] for hit in before.hits if hit["id"] != gone
    ]


def test_stages_are_measured(searches):
    searches((Query(text="a green tree"), {}))
    told = searches.metrics.text()
    for stage in ("queue", "encode", "search", "metadata"):
        assert f'pairdex_stage_seconds_count{{stage="{stage}"}}' in told
    assert sample(told, "pairdex_batch_items_bucket", stage="search", le="1.0") == 1
    assert sample(told, "pairdex_queue_length") == 0
