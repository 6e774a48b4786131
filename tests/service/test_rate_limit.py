"""How often one client may ask."""

import json

import pytest
from fastapi.testclient import TestClient

from coroutines import run_to_end
from pairdex.service.app import make_app
from pairdex.service.policy import Policy
from pairdex.service.rate_limit import LimitRate


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


async def answer_ok(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def status_of(limited, client, path="/api/search"):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": "POST", "headers": [], "client": (client, 1)}
    run_to_end(limited(scope, None, send))
    if sent[0]["status"] == 429:
        assert json.loads(sent[1]["body"])["error"]["code"] == "too_many_requests"
        (wait,) = [int(value) for name, value in sent[0]["headers"] if name == b"retry-after"]
        return wait
    return sent[0]["status"]


def test_a_burst_is_answered_and_then_the_rate():
    clock = Clock()
    limited = LimitRate(answer_ok, 5, clock)
    assert [status_of(limited, "10.0.0.1") for _ in range(11)] == [200] * 10 + [1]
    clock.now += 0.2
    assert [status_of(limited, "10.0.0.1") for _ in range(2)] == [200, 1]
    clock.now += 1000
    assert [status_of(limited, "10.0.0.1") for _ in range(11)] == [200] * 10 + [1]


def test_a_slow_rate_says_how_long_to_wait():
    limited = LimitRate(answer_ok, 0.1, Clock())
    assert [status_of(limited, "10.0.0.1") for _ in range(2)] == [200, 10]


def test_each_client_has_its_own_and_a_household_one():
    limited = LimitRate(answer_ok, 0.5, Clock())
    assert status_of(limited, "10.0.0.1") == 200
    assert status_of(limited, "10.0.0.2") == 200
    assert status_of(limited, "2001:db8::1") == 200
    assert status_of(limited, "2001:db8::2") == 2
    assert status_of(limited, "2001:db8:0:1::1") == 200


@pytest.mark.parametrize(
    "path", ["/", "/health", "/metrics", "/page/app.js", "/api/items/3/picture"]
)
def test_the_page_its_pictures_and_health_are_not_counted(path):
    limited = LimitRate(answer_ok, 0.1, Clock())
    assert {status_of(limited, "10.0.0.1", path) for _ in range(20)} == {200}


def test_no_more_clients_are_remembered_than_the_limit(monkeypatch):
    monkeypatch.setattr("pairdex.service.rate_limit.MAX_CLIENTS", 3)
    limited = LimitRate(answer_ok, 0.1, Clock())
    for number in range(10):
        status_of(limited, f"10.0.0.{number}")
    assert len(limited._buckets) == 3


def test_a_service_with_a_rate_answers_429(collections):
    app = make_app(collections, policy=Policy(rate=0.5))
    client = TestClient(app, base_url="http://localhost")
    assert client.get("/api/items/1").status_code == 200
    refused = client.get("/api/items/1")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "2"
    assert "content-security-policy" in refused.headers
    assert client.get("/docs").status_code == 200
