"""Groups of near-duplicates over REST: the same as dedup's, paged, found in the background, cached."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.errors import WriteFailed
from pairdex.service import duplicates as module
from pairdex.service import limits
from pairdex.service.app import make_app
from pairdex.service.shared_metrics import WorkerFolder
from served import wait_until

ROWS, DIM = 300, 32


@pytest.fixture(scope="module")
def near(tmp_path_factory):
    """A collection with near-duplicates at all distances, copies, and rows that are not safe."""
    root = tmp_path_factory.mktemp("near")
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((ROWS, DIM))
    of = rng.integers(0, ROWS // 6, ROWS)  # of few rows, so that groups are large
    moved = rows[of] + rng.standard_normal((ROWS, DIM)) * rng.uniform(0, 0.5, (ROWS, 1))
    moved[200:210] = moved[0]
    (root / "parts").mkdir()
    np.save(root / "parts" / "img_emb_0.npy", moved.astype(np.float16))
    columns = {
        "url": [f"http://pictures.invalid/{row}.jpg" for row in range(ROWS)],
        "caption": [f"row {row}" for row in range(ROWS)],
        "NSFW": ["UNSURE" if row % 7 == 0 else "UNLIKELY" for row in range(ROWS)],
    }
    pq.write_table(pa.table(columns), root / "parts" / "metadata_0.parquet")
    pairdex.build(root / "parts", root / "near")
    return root / "near"


def reported(collection, folder, **options):
    """What dedup says of each dropped row: the kept row and the distance."""
    pairdex.dedup(collection, folder / "new", report=folder / "report.parquet", **options)
    table = pq.read_table(folder / "report.parquet")
    columns = [table[name].to_pylist() for name in ("id", "kept_id", "distance")]
    return {row: (kept, distance) for row, kept, distance in zip(*columns, strict=True)}


@pytest.fixture
def client(near):
    with TestClient(make_app(near), base_url="http://localhost") as client:
        yield client


def ready(client, **asked):
    """The answer once the groups are found."""
    answers = []

    def is_there():
        answers.append(client.get("/api/duplicates", params=asked).json())
        return answers[-1]["status"] == "ready"

    wait_until(is_there)
    return answers[-1]


def pages(client, **asked):
    """The groups of all pages."""
    groups, after = [], 0
    while after is not None:
        answer = ready(client, offset=after, **asked)
        groups += answer["items"]
        after = answer["next"]
    return groups


def as_reported(groups):
    return {
        row["id"]: (group["rows"][0]["id"], row["distance"])
        for group in groups
        for row in group["rows"][1:]
    }


@pytest.mark.parametrize("threshold", [0.0, 0.03, 0.1])
def test_groups_are_what_dedup_reports(client, near, tmp_path, threshold):
    groups = pages(client, threshold=threshold, safe=False, k=7, rows=20)
    assert as_reported(groups) == reported(near, tmp_path, threshold=threshold)
    first = ready(client, threshold=threshold, safe=False)
    assert (first["groups"], first["dropped"]) == (
        len(groups),
        sum(group["size"] - 1 for group in groups),
    )


def test_the_largest_group_comes_first_and_its_nearest_rows_after_the_kept_one(client):
    groups = pages(client, threshold=0.1, safe=False, rows=20)
    sizes = [group["size"] for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    for group in groups:
        kept, *others = group["rows"]
        distances = [row["distance"] for row in others]
        assert kept["distance"] is None
        assert distances == sorted(distances)
        assert [row["similarity"] for row in others] == [1 - each for each in distances]
        assert kept["caption"] == f"row {kept['id']}"


def test_a_large_group_is_paged(client):
    group = ready(client, threshold=0.0, safe=False, k=1, rows=2)["items"][0]
    assert (group["size"], group["next"], len(group["rows"])) == (11, 2, 2)
    kept, rows, after = group["rows"][0]["id"], list(group["rows"]), 2
    while after is not None:
        asked = {"threshold": 0.0, "safe": False, "offset": after, "k": 4}
        answer = client.get(f"/api/duplicates/{kept}", params=asked).json()
        rows += answer["rows"]
        after = answer["next"]
    assert [row["id"] for row in rows] == [0, *range(200, 210)]
    whole = client.get(f"/api/duplicates/{kept}", params={"threshold": 0.0, "safe": False}).json()
    assert [row["id"] for row in whole["rows"]] == [0, *range(200, 210)]
    refused = client.get("/api/duplicates/201", params={"threshold": 0.0, "safe": False})
    assert refused.status_code == 404
    assert refused.json()["error"]["message"] == "no group keeps row 201"


def test_safe_mode_compares_safe_rows_only_and_is_on_by_default(client, near, tmp_path):
    groups = pages(client, threshold=0.1, rows=20)
    safe = tmp_path / "safe"
    pairdex.subset(near, safe, where="nsfw = 'UNLIKELY'")
    ids = [row for row in range(ROWS) if row % 7]
    expected = {
        ids[row]: (ids[kept], distance)
        for row, (kept, distance) in reported(safe, tmp_path, threshold=0.1).items()
    }
    assert as_reported(groups) == expected
    assert ready(client, threshold=0.1)["safe"] is True


def test_removed_rows_leave_their_groups(near, tmp_path):
    copy = tmp_path / "copy"
    pairdex.subset(near, copy)
    with TestClient(make_app(copy), base_url="http://localhost") as client:
        before = as_reported(pages(client, threshold=0.0, safe=False, rows=20))
        pairdex.remove(copy, ids=[0], reason="test")
        after = as_reported(pages(client, threshold=0.0, safe=False, rows=20))
    assert before[201][0] == 0
    assert after == dict.fromkeys(range(201, 210), (200, 0.0))


def test_the_first_answer_says_how_far_the_work_is(client, monkeypatch):
    go_on = module.threading.Event()
    find = module.find_groups

    def slowly(*arguments, progress, **options):
        progress("comparing", 3, 10)
        go_on.wait(20)
        return find(*arguments, progress=progress, **options)

    monkeypatch.setattr(module, "find_groups", slowly)
    answers = [client.get("/api/duplicates").json()]
    wait_until(lambda: answers.append(client.get("/api/duplicates").json()) or answers[-1]["done"])
    assert (answers[-1]["step"], answers[-1]["total"]) == ("comparing", 10)
    assert answers[0]["status"] == answers[-1]["status"] == "working"
    assert answers[-1]["items"] == []
    waiting = client.get("/api/duplicates/0")
    assert waiting.status_code == 409
    assert waiting.json()["error"]["code"] == "working"
    go_on.set()
    assert ready(client)["groups"] > 0


def test_groups_are_found_once_for_each_threshold(client, monkeypatch):
    calls = []
    find = module.find_groups

    def counted(*arguments, threshold, **options):
        calls.append(threshold)
        return find(*arguments, threshold=threshold, **options)

    monkeypatch.setattr(module, "find_groups", counted)
    for threshold in (0.02, 0.05, 0.02, 0.05, 0.02):
        ready(client, threshold=threshold)
    assert calls == [0.02, 0.05]


def test_what_nobody_asks_for_any_more_is_not_computed(client, monkeypatch):
    monkeypatch.setattr(limits, "ABANDONED_SECONDS", -1.0)
    assert client.get("/api/duplicates").json()["status"] == "working"
    found = client.app.state.duplicates
    wait_until(lambda: found._thread is None)
    assert found._jobs == {}
    monkeypatch.setattr(limits, "ABANDONED_SECONDS", 60.0)
    assert ready(client)["groups"] > 0


def test_too_many_waiting_thresholds_and_too_many_rows_are_refused(client, monkeypatch):
    monkeypatch.setattr(limits, "WAITING_DUPLICATES", 0)
    refused = client.get("/api/duplicates")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
    monkeypatch.setattr(limits, "MAX_DUPLICATE_ROWS", ROWS - 1)
    refused = client.get("/api/duplicates")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "too_many_rows")
    assert "pairdex dedup near NEW" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"threshold": 0.015}, "threshold"),
        ({"threshold": 0.2}, "threshold"),
        ({"threshold": "nan"}, "threshold"),
        ({"on": "text"}, "on"),
        ({"k": 51}, "k"),
        ({"rows": 0}, "rows"),
        ({"offset": -1}, "offset"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_wrong_values_are_refused_by_name(client, asked, field):
    refused = client.get("/api/duplicates", params=asked)
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == field


def test_safe_mode_that_a_collection_does_not_have_is_refused(web):
    with TestClient(make_app(web), base_url="http://localhost") as client:
        refused = client.get("/api/duplicates", params={"safe": True})
        assert refused.status_code == 422


def test_a_failure_is_said_once_and_then_tried_again(client, monkeypatch):
    with monkeypatch.context() as broken:

        def fail(*_, **__):
            raise WriteFailed("the disk is full")

        broken.setattr(module, "find_groups", fail)
        answers = []
        wait_until(
            lambda: answers.append(client.get("/api/duplicates")) or answers[-1].status_code != 200
        )
        assert answers[-1].json()["error"]["message"] == "the disk is full"
    assert ready(client)["groups"] > 0


def test_processes_of_one_service_share_what_one_of_them_found(near, tmp_path, monkeypatch):
    shared = WorkerFolder(tmp_path)
    with TestClient(make_app(near, processes=shared), base_url="http://localhost") as one:
        groups = pages(one, threshold=0.05)
    assert list((tmp_path / "duplicates").glob("*.npz"))
    monkeypatch.setattr(module, "find_groups", None)
    with TestClient(make_app(near, processes=shared), base_url="http://localhost") as other:
        assert other.get("/api/duplicates?threshold=0.05&k=50").json()["items"] == groups


def test_only_the_newest_results_stay_on_disk_and_in_memory(client, monkeypatch):
    monkeypatch.setattr(limits, "KEPT_DUPLICATES", 1)
    monkeypatch.setattr(limits, "KEPT_DUPLICATE_FILES", 2)
    for threshold in (0.01, 0.02, 0.03):
        ready(client, threshold=threshold)
    found = client.app.state.duplicates
    assert [query.threshold for query in found._found] == [0.03]
    wait_until(lambda: len(list(found._own.glob("*.npz"))) == 2)


def test_the_folder_goes_with_the_service(near):
    with TestClient(make_app(near), base_url="http://localhost") as client:
        ready(client)
        folder = client.app.state.duplicates._own
        assert folder.exists()
    assert not folder.exists()
