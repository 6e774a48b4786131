"""clip-retrieval's published ClipClient works unchanged; its options are honoured or refused, never ignored."""

import base64
import importlib.util
import json
import shutil
import threading

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

import pairdex
from pairdex.service.app import make_app
from pairdex.service.clip_retrieval import NOT_APPLIED, _first_of_each
from served import ATTACK_ID, wait_until

# What ClipClient 2.45.0 sends by itself.
DEFAULTS = {
    "text": None,
    "image": None,
    "image_url": None,
    "embedding_input": None,
    "deduplicate": True,
    "use_safety_model": True,
    "use_violence_detector": True,
    "indice_name": "scenes",
    "use_mclip": False,
    "aesthetic_score": 9,
    "aesthetic_weight": 0.5,
    "modality": "image",
    "num_images": 40,
    "num_result_ids": 40,
}


def published_client():
    """The class of the package itself, without the package's own imports (PyTorch, faiss, ...)."""
    pytest.importorskip("requests")
    package = importlib.util.find_spec("clip_retrieval")
    if package is None:
        pytest.skip("pip install --no-deps clip-retrieval: its client is not installed")
    (folder,) = package.submodule_search_locations
    spec = importlib.util.spec_from_file_location("clip_client", f"{folder}/clip_client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def url(app):
    """The address of the service, listening."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    (listening,) = server.servers
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def ask(client, headers=None, **changes):
    """Send what ClipClient sends, as it sends it: JSON without a content type."""
    content = json.dumps({**DEFAULTS, **changes})
    return client.post("/knn-service", content=content, headers=headers)


def found(client, **changes):
    response = ask(client, **changes)
    assert response.status_code == 200, response.text
    return response.json()


def refusal(response, status=422):
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_the_published_client_works_unchanged(url, collections, tmp_path):
    module = published_client()
    client = module.ClipClient(url=f"{url}/knn-service", indice_name="scenes")
    hits = client.query(text="a red car")
    assert 0 < len(hits) <= 40
    assert set(hits[0]) >= {"id", "similarity", "url", "caption"}
    similarities = [hit["similarity"] for hit in hits]
    assert similarities == sorted(similarities, reverse=True)
    best = collections[0].search(text="a red car", k=1).table.to_pylist()[0]
    assert (hits[0]["id"], hits[0]["caption"]) == (best["id"], best["caption"])
    assert client.query(image=str(collections[0].picture(20)))[0]["id"] == 20
    vector = collections[0].vectors()[33].astype(float).tolist()
    assert client.query(embedding_input=vector)[0]["id"] == 33
    texts = module.ClipClient(
        f"{url}/knn-service", "scenes", modality=module.Modality.TEXT, num_images=3
    )
    assert len(texts.query(text="a red car")) <= 3
    refused = client.query(image="https://pictures.example/a.jpg")
    assert refused["error"]["field"] == "image_url"


def test_its_own_defaults_that_cannot_be_honoured_are_named(client):
    told = ask(client, text="a red car").headers[NOT_APPLIED]
    assert told == "use_safety_model, use_violence_detector, aesthetic_score"
    response = ask(
        client,
        text="a red car",
        use_safety_model=False,
        use_violence_detector=False,
        aesthetic_score="",
    )
    assert NOT_APPLIED not in response.headers


def test_metadata_comes_with_the_first_rows_only(client):
    hits = found(client, text="cat", num_images=3, num_result_ids=10, deduplicate=False)
    assert len(hits) == 10
    assert all("caption" in hit for hit in hits[:3])
    assert [set(hit) for hit in hits[3:]] == [{"id", "similarity"}] * 7


def test_rows_that_are_the_same_come_once(client, collections):
    every = found(client, text="cat", deduplicate=False, num_images=200, num_result_ids=200)
    once = found(client, text="cat", num_images=200, num_result_ids=200)
    assert len(every) == 200
    vectors = collections[0].vectors()[np.array([hit["id"] for hit in every])].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert [hit["id"] for hit in once] == [
        hit["id"] for hit, keep in zip(every, _first_of_each(vectors), strict=True) if keep
    ]


def test_a_chain_of_near_duplicates_is_one_row():
    angles = np.array([0, 90, 15, 30, 45, 92, 200]) * np.pi / 180  # cos 15 is 0.966, cos 30 0.87
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    assert _first_of_each(rows * 3) == [True, True, False, False, False, False, True]
    assert _first_of_each(np.zeros((2, 2), np.float16)) == [True, True]


@pytest.fixture
def scored(scenes, tmp_path):
    """A client of the drawn scenes with the columns that the options need."""
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    rows = pairdex.open(folder).vectors()[:].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    dim = rows.shape[1]
    norm = {"norm.mean": np.full(dim, 1e-9), "norm.variance": np.ones(dim)}
    first, second = np.eye(dim)[:2] * 1000
    layer = {"linear_1.weight": first[None], "linear_1.bias": -np.median(rows @ first)[None]}
    np.savez(tmp_path / "nsfw.npz", **norm, **layer)
    wide = 3 / np.std(rows[:, 1])
    looks = {"weight": second[None] / 1000 * wide, "bias": 5 - np.mean(rows[:, 1])[None] * wide}
    np.savez(tmp_path / "looks.npz", **looks)
    pairdex.score(folder, nsfw=tmp_path / "nsfw.npz", aesthetic=tmp_path / "looks.npz")
    collection = pairdex.open(folder)
    client = TestClient(make_app([collection]), base_url="http://localhost")
    client.punsafe = collection.take(range(len(rows)))["punsafe"].to_numpy()
    return client


def test_safety_and_looks_are_honoured_where_the_columns_are(scored):
    response = ask(scored, text="cat", deduplicate=False, num_images=60, num_result_ids=60)
    hits = response.json()
    assert response.headers[NOT_APPLIED] == "use_violence_detector"
    assert len(hits) == 60
    assert all(scored.punsafe[hit["id"]] < 0.5 for hit in hits)
    ranks = [1 - hit["similarity"] + 0.5 * abs(hit["aesthetic"] - 9) / 10 for hit in hits]
    assert ranks == sorted(ranks)
    plain = found(scored, text="cat", deduplicate=False, aesthetic_weight=0, num_images=60)
    assert [hit["id"] for hit in plain] != [hit["id"] for hit in hits]
    unsafe = found(scored, text="cat", deduplicate=False, use_safety_model=False, num_images=200)
    assert any(scored.punsafe[hit["id"]] >= 0.5 for hit in unsafe)


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"text": None}, "text", "got none of them"),
        ({"image": "AA=="}, "image", "got text and image"),
        ({"use_mclip": True}, "use_mclip", "omit it"),
        ({"aesthetic_score": 5}, "aesthetic_score", "pairdex score --aesthetic"),
        ({"aesthetic_weight": 0.9}, "aesthetic_score", "omit aesthetic_score and"),
        ({"aesthetic_score": 11}, "aesthetic_score", "less than or equal to 10"),
        ({"modality": "audio"}, "modality", "'image' or 'text'"),
        ({"num_images": 0}, "num_images", "greater than or equal to 1"),
        ({"num_images": 1001}, "num_images", "less than or equal to 1000"),
        ({"num_result_ids": 3001}, "num_result_ids", "less than or equal to 3000"),
        ({"no_such_option": 1}, "no_such_option", "is not a field"),
        ({"text": None, "image": "no base64!"}, "image", "not valid base64"),
        ({"text": None, "image_url": "http://127.0.0.1/"}, "image_url", "does not fetch URLs"),
        ({"text": None, "embedding_input": [1.0, 2.0]}, "vector", "has 2 values, expected"),
        ({"text": " "}, "text", "is empty"),
    ],
)
def test_what_cannot_be_honoured_is_refused(client, changes, field, told):
    error = refusal(ask(client, **{"text": "a red car", **changes}))
    assert error["field"] == field
    assert told in error["message"]


def test_options_as_clip_front_sends_them_are_taken(client):
    hits = found(client, text="cat", aesthetic_score="9", aesthetic_weight="0.5", num_images=5)
    assert 0 < len(hits) <= 40


def test_the_collection_is_named_by_the_index_name(client):
    vector = [1.0] * 8
    web = found(
        client,
        indice_name="web",
        embedding_input=vector,
        deduplicate=False,
        num_images=5,
        num_result_ids=5,
    )
    assert len(web) == 5
    first = found(client, indice_name=None, text="cat")
    assert first == found(client, indice_name="", text="cat")
    error = refusal(ask(client, indice_name="laion5B", text="cat"), 404)
    assert error["field"] == "indice_name"
    assert "available: scenes, web" in error["message"]
    assert refusal(ask(client, indice_name="web", text="cat"), 409)["code"] == "model_missing"
    error = refusal(ask(client, indice_name="web", embedding_input=vector, modality="text"))
    assert "'text'" in error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'"text"', b"[" * 100_000, b"null"])
def test_what_is_no_json_object_is_refused(client, body):
    for path in ("/knn-service", "/metadata"):
        response = client.post(path, content=body)
        assert 400 <= response.status_code < 500
        assert set(response.json()) == {"error"}


def test_metadata_of_rows_is_told(client):
    response = client.post(
        "/metadata", content=json.dumps({"ids": [17, 4], "indice_name": "scenes"})
    )
    first, second = response.json()
    assert (first["id"], second["id"]) == (17, 4)
    assert set(first) == {"id", "metadata"}
    assert first["metadata"]["caption"]
    assert client.post("/metadata", content='{"ids": []}').json() == []
    assert client.post("/metadata", content='{"ids": [200]}').status_code == 404


def test_the_names_are_listed(client):
    assert client.get("/indices-list").json() == ["scenes", "web"]


def test_a_picture_is_taken_in_base64(client, collections):
    data = base64.b64encode(collections[0].picture(ATTACK_ID).read_bytes()).decode()
    assert found(client, image=data)[0]["id"] == ATTACK_ID
