"""What `pairdex.service` offers to Python programs."""

import json
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex import service
from pairdex.errors import InvalidArgument, MissingFile


def test_it_offers_what_it_lists_and_nothing_else():
    assert dir(service) == service.__all__ == ["Policy", "ReverseProxy", "make_app", "serve"]
    assert all(callable(getattr(service, name)) for name in service.__all__)
    with pytest.raises(AttributeError, match="no attribute 'app_maker'"):
        _ = service.app_maker


def test_importing_it_does_not_import_the_web_framework():
    program = "import sys, json, pairdex.service; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    modules = set(json.loads(answer.stdout))
    assert not modules & {"fastapi", "starlette", "uvicorn", "prometheus_client"}


@pytest.mark.parametrize("form", [str, lambda path: path, pairdex.open, lambda path: [str(path)]])
def test_a_collection_is_given_opened_or_as_its_folder(web, form):
    client = TestClient(service.make_app(form(web)), base_url="http://localhost")
    assert client.get("/indices-list").json() == ["web"]


def test_what_is_not_a_collection_is_refused_by_name(tmp_path):
    for wrong in (5, [5], None, [None]):
        with pytest.raises(InvalidArgument, match=r"^collections holds a (int|NoneType)") as caught:
            service.make_app(wrong)
        assert caught.value.field == "collections"
    with pytest.raises(InvalidArgument, match="nothing to serve"):
        service.make_app([])
    with pytest.raises(MissingFile):
        service.make_app(tmp_path / "nothing")
