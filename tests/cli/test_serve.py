"""`pairdex serve`: which options go together, and where the token comes from."""

import urllib.error
import urllib.request

import pytest

from served import serving


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--unix-socket", "s", "--port", "1"], "--unix-socket and --port exclude each other"),
        (["--unix-socket", "s", "--host", "::1"], "--unix-socket and --host exclude each other"),
        (["--token", "a", "--token-file", "b"], "--token and --token-file exclude each other"),
        (["--token", " "], "--token is empty"),
        (["--token-file", "none"], "the token file none does not exist"),
        (["--workers", "0"], "the number of workers is 0, expected 1 to 64"),
        (["--root-path", ""], "--root-path is empty"),
        (["--root-path", "x/"], "the root path 'x/' is invalid"),
        (["--proxy-headers", "nginx"], "the proxy 'nginx' is invalid"),
        (["--proxy-headers", "unix"], "the trusted proxy unix needs a Unix socket"),
        (["--unix-socket", "s", "--proxy-headers", "::1"], "the trusted proxy can only be unix"),
        (["--allow-host", "https://x"], "the host name 'https://x' is invalid"),
        (["--port", "70000"], "--port is 70000, expected 0 to 65535"),
        (["--rate", "0"], "--rate is 0 requests per second"),
    ],
)
def test_a_wrong_combination_is_refused_in_one_line(
    run, collection, monkeypatch, options, complaint
):
    monkeypatch.chdir(collection.parent)
    assert complaint in run("serve", collection, *options).complaint


def test_an_empty_variable_does_not_open_the_service(run, collection, monkeypatch):
    monkeypatch.setenv("PAIRDEX_TOKEN", "")
    assert run("serve", collection).complaint.startswith("PAIRDEX_TOKEN is empty")


def answered(url, **headers):
    request = urllib.request.Request(f"{url}/api/collections", headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_token_comes_from_the_environment_and_a_file_comes_first(
    collection, tmp_path, monkeypatch
):
    monkeypatch.setenv("PAIRDEX_TOKEN", "FROM-ENVIRONMENT")
    with serving(tmp_path / "log", collection) as url:
        assert answered(url) == 401
        assert answered(url, Authorization="Bearer FROM-ENVIRONMENT") == 200
    (tmp_path / "token").write_text("FROM-FILE\n")
    options = ("--token-file", str(tmp_path / "token"))
    with serving(tmp_path / "log2", collection, options=options) as url:
        assert answered(url, Authorization="Bearer FROM-ENVIRONMENT") == 401
        assert answered(url, Authorization="Bearer FROM-FILE") == 200


def test_allowed_hosts_come_beside_the_names_of_this_machine(collection, tmp_path):
    options = ("--allow-host", "gallery.example", "--allow-host", "photos.example")
    with serving(tmp_path / "log", collection, options=options) as url:
        for name in ("gallery.example", "photos.example", "localhost"):
            assert answered(url, Host=name) == 200
        assert answered(url, Host="evil.example") == 421
