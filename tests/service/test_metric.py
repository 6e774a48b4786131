"""A service of a collection that is searched by inner product: it searches, and refuses what needs cosines."""

import base64

import numpy as np
import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.service.app import make_app


@pytest.fixture(scope="module")
def client(scenes, tmp_path_factory):
    root = tmp_path_factory.mktemp("ip")
    pairdex.build(scenes.parent / "parts", root / "c", metric="ip")
    app = make_app([pairdex.open(root / "c")])
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def test_hits_have_the_product_as_their_similarity(client, scenes):
    vectors = pairdex.open(scenes).vectors("image")[:].astype(np.float64)
    body = {"vector": (3 * vectors[5]).tolist(), "k": 3}
    hits = client.post("/api/search", json=body).json()["hits"]
    products = 3 * vectors @ vectors[5]
    assert [hit["id"] for hit in hits] == np.argsort(-products)[:3].tolist()
    for hit in hits:
        assert hit["similarity"] == pytest.approx(products[hit["id"]], rel=1e-6)
        assert hit["distance"] == -hit["similarity"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/knn-service", {"text": "a red circle", "num_images": 3}),
        ("/api/search", {"like": 3, "k": 3, "fold": 0.06}),
        ("/api/contains", {"image": None}),
        ("/api/duplicates", None),
    ],
)
def test_what_needs_cosines_is_refused(client, scenes, path, body):
    if body is not None and "image" in body:
        picture = pairdex.open(scenes).picture(20).read_bytes()
        body = {"image": base64.b64encode(picture).decode()}
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.status_code in (400, 422), answer.text
    assert "needs cosine distances" in answer.json()["error"]["message"]
