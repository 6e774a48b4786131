"""The service's log: a line an event, for people or machines, that no stranger can break."""

import io
import json
import logging

import pytest
from fastapi.testclient import TestClient

from pairdex.service.app import make_app
from pairdex.service.logs import log_to


@pytest.fixture
def log():
    """A stream that `log_to` writes to; the loggers are as before afterwards."""
    loggers = [logging.getLogger(name) for name in ("pairdex", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield io.StringIO()
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def ask(collections, path="/api/items/1", **options):
    client = TestClient(
        make_app(collections), base_url="http://localhost", raise_server_exceptions=False
    )
    return client.get(path, headers={"x-request-id": "id-1"}, **options)


def test_json_lines_tell_each_request(collections, log):
    log_to("json", log)
    ask(collections)
    ask(collections, "/api/items/99999")
    first, second = (json.loads(line) for line in log.getvalue().splitlines())
    assert first["level"] == "info"
    assert (first["method"], first["route"], first["status"]) == ("GET", "/api/items/{id}", 200)
    assert (first["request_id"], first["client"]) == ("id-1", "testclient")
    assert first["milliseconds"] >= 0
    assert first["time"].endswith("Z")
    assert "error" not in first
    assert (second["status"], second["error"]) == (404, "not_found")


def test_text_lines_tell_the_same(collections, log):
    log_to("text", log)
    ask(collections)
    (line,) = log.getvalue().splitlines()
    assert "INFO GET /api/items/{id} 200 in " in line
    assert "request_id=id-1" in line


def test_without_a_form_only_what_goes_wrong_is_told(collections, log, monkeypatch):
    log_to(None, log)
    ask(collections)
    assert log.getvalue() == ""
    monkeypatch.setattr("pairdex.service.lookup.read_rows", lambda *_: 1 / 0)
    assert ask(collections).status_code == 500
    assert "ERROR GET /api/items/1 failed: ZeroDivisionError request_id=id-1" in log.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_path_with_line_breaks_stays_one_line(collections, log, form, monkeypatch):
    log_to(form, log)
    monkeypatch.setattr("pairdex.service.lookup.read_rows", lambda *_: 1 / 0)
    ask(collections, "/nothing%0aERROR%20forged")
    ask(collections, "/api/items/1?x=%0aERROR%20forged")
    lines = log.getvalue().splitlines()
    assert not [line for line in lines if line.startswith("ERROR")]


def test_an_exception_is_told_within_its_line_as_json(log):
    log_to("json", log)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("pairdex.x").exception("failed")
    (line,) = log.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]
