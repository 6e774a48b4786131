"""The configurations of deploy/ for nginx and Caddy, run by the real programs with TLS."""

import http.client
import json
import os
import re
import ssl
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from deploy.conftest import free_port, program, replaced, running
from places import ROOT
from served import serving, wait_until

DEPLOY = ROOT / "deploy"
PREFIX = "/pairdex"
CLIENT = "127.0.0.2"  # another than the proxy's own
COMMON = ("--allow-host", "gallery.example", "--log-format", "json")
AS_ROOT = "user root;" if os.geteuid() == 0 else ""  # others cannot enter pytest's folder
MAIN = """
{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    include {folder}/pairdex.conf;
}}
"""


class Site:
    """A published service: requests to it over TLS, and the service's own log."""

    def __init__(self, port, certificate, prefix, log):
        self.port, self.prefix, self._log = port, prefix, log
        self._context = ssl.create_default_context(cafile=str(certificate))

    def ask(self, path, body=None, headers=None, method=None):
        """Return status, headers and body."""
        asking = http.client.HTTPSConnection(
            "localhost",
            self.port,
            timeout=30,
            source_address=(CLIENT, 0),
            context=self._context,
        )
        given = {"Content-Type": "application/json"} | (headers or {})
        try:
            asking.request(method or ("POST" if body else "GET"), self.prefix + path, body, given)
            response = asking.getresponse()
            return response.status, response.headers, response.read()
        finally:
            asking.close()

    def logged(self, request_id):
        """The service's log line of a request."""
        found = []

        def is_there():  # it is written after the response
            lines = [line for line in self._log.read_text().splitlines() if request_id in line]
            found.extend(map(json.loads, lines))
            return bool(found)

        wait_until(is_there)
        return found[0]


def tcp_port(url):
    return urlsplit(url).port


@contextmanager
def nginx(folder, certificate, scenes, *, workers="1"):
    log, port, plain = folder / "service.log", free_port(), free_port()
    options = (*COMMON, "--root-path", PREFIX, "--proxy-headers", "127.0.0.1", "--workers", workers)
    with serving(log, scenes, options=options) as url:
        cert, key = certificate
        changes = {
            "127.0.0.1:8420": f"127.0.0.1:{tcp_port(url)}",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "/etc/letsencrypt/live/gallery.example/fullchain.pem": str(cert),
            "/etc/letsencrypt/live/gallery.example/privkey.pem": str(key),
            "server_name gallery.example": "server_name localhost",
        }
        (folder / "pairdex.conf").write_text(replaced((DEPLOY / "nginx.conf").read_text(), changes))
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=AS_ROOT))
        command = [program("nginx"), "-p", folder, "-c", folder / "nginx.conf"]
        with running(command, port, folder / "nginx.log"):
            yield Site(port, cert, PREFIX, log)


@contextmanager
def caddy(folder, certificate, scenes, *, below):
    """Caddy with the service at the root of the site, or below a path, as the file's last lines say."""
    log, port = folder / "service.log", free_port()
    prefixed = ("--root-path", PREFIX) if below else ()
    options = (*COMMON, *prefixed, "--proxy-headers", "127.0.0.1")
    with serving(log, scenes, options=options) as url:
        cert, key = certificate
        whole = (DEPLOY / "Caddyfile").read_text()
        site, _, rest = whole.partition("# Below a path")
        if below:
            blocks = re.findall(r"^#\t(.*)$", rest, re.MULTILINE)
            site = "{$PAIRDEX_SITE} {\n" + "\n".join(blocks) + "\n}\n"
            site = replaced(site, {"127.0.0.1:8420": "{$PAIRDEX_UPSTREAM}"})
        site = site.replace(
            "{$PAIRDEX_SITE} {", f"{{$PAIRDEX_SITE}} {{\nbind 127.0.0.1\ntls {cert} {key}"
        )
        options = "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n"
        (folder / "Caddyfile").write_text(options + site)
        environment = os.environ | {
            "PAIRDEX_SITE": f"https://localhost:{port}",
            "PAIRDEX_UPSTREAM": f"127.0.0.1:{tcp_port(url)}",
            "HOME": str(folder),
        }
        command = [program("caddy"), "run", "--config", folder / "Caddyfile"]
        with running(command, port, folder / "caddy.log", env=environment):
            yield Site(port, cert, PREFIX if below else "", log)


WAYS = {
    "nginx below a path": nginx,
    "caddy at the root": lambda *given: caddy(*given, below=False),
    "caddy below a path": lambda *given: caddy(*given, below=True),
}


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.replace(" ", "-"))
def site(request, tmp_path_factory, certificate, drawn):
    """The service behind each proxy."""
    program(request.param.split()[0])
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("proxy")
        yield stack.enter_context(WAYS[request.param](folder, certificate, drawn))


def test_the_page_and_the_reference_are_there(site):
    for path in ("/", "/docs", "/page/app.js"):
        status, _, body = site.ask(path)
        assert status == 200, path
        assert body
    schema = json.loads(site.ask("/openapi.json")[2])
    assert [one["url"] for one in schema.get("servers", [])] == ([PREFIX] if site.prefix else [])


def test_everything_that_the_page_names_is_below_its_path(site):
    page = site.ask("/")[2].decode()
    names = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert len(names) > 3
    for name in names:
        assert not name.startswith(("/", "http")), name
        assert site.ask(f"/{name.removeprefix('./')}")[0] == 200, name


def test_the_path_without_its_slash_leads_to_the_page(site):
    if not site.prefix:
        pytest.skip("the root of a site always has its slash")
    status, headers, _ = site.ask("")
    assert status in (301, 302, 308)
    assert urlsplit(headers["location"]).path == f"{PREFIX}/"


def test_a_search_and_a_download_arrive_whole(site):
    search = json.dumps({"text": "a red car", "k": 50}).encode()
    status, headers, body = site.ask("/api/search", search)
    assert status == 200
    assert len(json.loads(body)["hits"]) == 50
    assert headers["x-content-type-options"] == "nosniff"
    download = json.dumps({"text": "a red car", "k": 200, "format": "jsonl"}).encode()
    status, _, body = site.ask("/api/download", download)
    assert (status, len(body.splitlines())) == (200, 200)


def test_errors_of_the_service_pass_through(site):
    status, _, body = site.ask("/api/search", b'{"text": ""}')
    assert status == 422
    assert json.loads(body)["error"]["code"] == "invalid_argument"
    assert site.ask("/nowhere")[0] == 404


def test_the_largest_picture_passes_and_a_larger_body_is_refused(site):
    largest = b'{"text": "' + b"x" * (16 * 2**20 - 12) + b'"}'
    status, _, body = site.ask("/api/search", largest)
    assert (status, json.loads(body)["error"]["field"]) == (422, "text")  # read whole, and too long
    with suppress(OSError):  # the connection may be closed before the whole body was sent
        assert site.ask("/api/search", largest + b" ")[0] == 413
    assert site.ask("/health")[0] == 200


def test_counts_are_not_published(site):
    assert site.ask("/metrics")[0] == 404


def test_the_client_of_the_proxy_is_logged_and_not_one_that_it_forges(site):
    _, headers, _ = site.ask("/api/collections", headers={"X-Forwarded-For": "6.6.6.6"})
    assert site.logged(headers["x-request-id"])["client"] == CLIENT


def test_another_host_name_does_not_reach_the_service(site):
    status, _, body = site.ask("/api/collections", headers={"Host": "evil.example"})
    assert status in (200, 421)  # 200: Caddy's own empty answer
    assert b"rows" not in body


def test_nginx_accepts_its_configuration_without_a_warning(tmp_path, certificate):
    cert, key = certificate
    changes = {
        "/etc/letsencrypt/live/gallery.example/fullchain.pem": str(cert),
        "/etc/letsencrypt/live/gallery.example/privkey.pem": str(key),
    }
    (tmp_path / "pairdex.conf").write_text(replaced((DEPLOY / "nginx.conf").read_text(), changes))
    (tmp_path / "nginx.conf").write_text(MAIN.format(folder=tmp_path, user=AS_ROOT))
    ran = subprocess.run(
        [program("nginx"), "-t", "-q", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")
