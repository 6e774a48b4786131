"""A path prefix, and the headers of proxies that are trusted."""

import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from coroutines import run_to_end
from pairdex.errors import InvalidArgument
from pairdex.service.app import make_app
from pairdex.service.policy import Policy
from pairdex.service.reverse_proxy import ReverseProxy, TrustProxies
from pairdex.service.server import serve


def passed_on(trusted, headers, peer=("10.0.0.1", 5)):
    """The scope that reaches the application."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "scheme": "http", "client": peer, "headers": raw}
    run_to_end(TrustProxies(app, trusted)(scope, None, None))
    return seen[0]


FORWARDED = [("x-forwarded-for", "6.6.6.6, 1.2.3.4"), ("x-forwarded-proto", "https")]


def test_a_trusted_proxy_names_the_client_and_the_scheme():
    scope = passed_on(["10.0.0.0/8"], FORWARDED)
    assert scope["client"] == ("1.2.3.4", 0)  # the last: a client may have sent the others
    assert scope["scheme"] == "https"


def test_others_are_not_believed():
    scope = passed_on(["10.0.0.2"], FORWARDED)
    assert scope["client"] == ("10.0.0.1", 5)
    assert scope["scheme"] == "http"
    assert passed_on(["10.0.0.2"], FORWARDED, peer=None)["client"] is None


def test_a_chain_of_trusted_proxies_is_followed_to_the_client():
    chain = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "[2001:db8::7]:80, 10.1.1.1:9")]
    assert passed_on(["10.0.0.0/8"], chain)["client"] == ("2001:db8::7", 0)


@pytest.mark.parametrize("forged", ["", "unknown", "1.2.3.4, evil", "1.2.3.4,"])
def test_what_is_no_address_ends_the_chain(forged):
    scope = passed_on(["10.0.0.1"], [("x-forwarded-for", forged), ("x-forwarded-proto", "gopher")])
    assert scope["client"] == ("10.0.0.1", 5)
    assert scope["scheme"] == "http"


def test_the_peers_of_a_unix_socket_are_trusted_only_if_named():
    assert passed_on(["unix"], FORWARDED, peer=None)["client"] == ("1.2.3.4", 0)
    assert passed_on(["unix"], FORWARDED)["client"] == ("10.0.0.1", 5)


def test_an_ipv4_peer_of_a_socket_for_both_families_is_known():
    assert passed_on(["10.0.0.1"], FORWARDED, peer=("::ffff:10.0.0.1", 5))["scheme"] == "https"


def test_the_rate_counts_the_clients_of_a_trusted_proxy_one_by_one(web):
    app = make_app(web, policy=Policy(rate=0.1), proxy=ReverseProxy(trusted=("192.0.2.1",)))
    with TestClient(app, base_url="http://localhost", client=("192.0.2.1", 1)) as client:
        statuses = [
            client.get("/api/collections", headers={"X-Forwarded-For": address}).status_code
            for address in ("198.51.100.1", "198.51.100.2", "198.51.100.1")
        ]
    assert statuses == [200, 200, 429]


@pytest.fixture(scope="module")
def prefixed(web):
    """A client of a service with a token under /p/x."""
    app = make_app(web, token="SECRET", proxy=ReverseProxy(root_path="/p/x"))
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("prefix", ["", "/p/x"])
def test_the_prefix_may_be_cut_or_passed_on(prefixed, prefix):
    known = {"Authorization": "Bearer SECRET"}
    assert prefixed.get(f"{prefix}/api/collections").status_code == 401
    assert prefixed.get(f"{prefix}/api/collections", headers=known).status_code == 200
    for path in ("/", "/docs", "/page/style.css", "/health"):
        assert prefixed.get(prefix + path).status_code in (200, 503)
    schema = prefixed.get(f"{prefix}/openapi.json").json()
    assert schema["servers"] == [{"url": "/p/x"}]


def test_the_prefix_alone_leads_to_the_page(prefixed):
    response = prefixed.get("/p/x", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (308, "/p/x/")


def test_a_path_that_only_begins_like_the_prefix_is_not_below_it(prefixed):
    assert prefixed.get("/p/xy/health").status_code == 401
    assert prefixed.get("/p/x/p/x/health").status_code == 401


def test_the_rate_holds_below_the_prefix(web):
    app = make_app(web, policy=Policy(rate=0.1), proxy=ReverseProxy(root_path="/p"))
    with TestClient(app, base_url="http://localhost") as client:
        statuses = [client.get(f"{path}/api/collections").status_code for path in ("/p", "", "/p")]
    assert statuses == [200, 429, 429]


@pytest.mark.parametrize("path", ["p", "/p/", "//p", "/p?q", "/a/../b", "/", "/p q", "/p/x/."])
def test_a_root_path_that_is_none_is_refused(path):
    with pytest.raises(
        InvalidArgument, match=r"root path .* is invalid; expected one like /pairdex"
    ):
        ReverseProxy(root_path=path)


def test_a_root_path_like_an_own_route_is_refused():
    with pytest.raises(InvalidArgument, match="begins like the service's own /api"):
        ReverseProxy(root_path="/api")


def test_every_route_has_its_first_segment_among_those(web):
    for path in [route.path for route in make_app(web).routes if route.path != "/"]:
        with pytest.raises(InvalidArgument, match="begins like"):
            ReverseProxy(root_path="/" + path.split("/")[1])


@pytest.mark.parametrize("address", ["proxy", "10.0.0.1/8", "*", "", "10.0.0.0/33"])
def test_a_proxy_that_is_no_address_is_refused(address):
    with pytest.raises(InvalidArgument, match=r"expected an address like 127.0.0.1"):
        ReverseProxy(trusted=(address,))


def test_unix_goes_with_a_unix_socket_and_addresses_without(web, tmp_path):
    with pytest.raises(InvalidArgument, match="unix needs a Unix socket"):
        serve(web, port=0, proxy=ReverseProxy(trusted=("unix",)))
    with pytest.raises(InvalidArgument, match="can only be unix"):
        serve(web, unix_socket=tmp_path / "s", proxy=ReverseProxy(trusted=("127.0.0.1",)))


def test_the_public_names_of_the_service_import_it_late():
    code = "import pairdex.service as s, sys; s.ReverseProxy('/p'); print('uvicorn' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
