"""What a service allows beyond its defaults is checked when it starts."""

import pytest

from pairdex.errors import InvalidArgument
from pairdex.service.policy import CLOSED, Policy


def test_the_defaults_allow_nothing():
    assert Policy() == CLOSED
    assert (CLOSED.cors, CLOSED.rate, CLOSED.proxy_hosts) == ((), None, ())


@pytest.mark.parametrize(
    "origin",
    ["http://a.example", "https://a.example:8443", "http://localhost:3000", "http://[::1]:80"],
)
def test_origins_are_taken(origin):
    assert Policy(cors=(origin,)).cors == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "a.example",
        "https://a.example/",
        "https://a.example/x",
        "HTTPS://A.example",
        "https://a.example:",
        "https://*.example",
        "ftp://a.example",
        "https://a.example\n",
    ],
)
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(InvalidArgument, match="is invalid; expected one like https://"):
        Policy(cors=(origin,))


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 100_001])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(InvalidArgument, match="expected more than 0 and at most 100,000"):
        Policy(rate=rate)


@pytest.mark.parametrize(
    "host", ["a.example", "*.a.example", "localhost", "127.0.0.1", "xn--a.example"]
)
def test_hosts_are_taken(host):
    assert Policy(proxy_hosts=(host,)).proxy_hosts == (host,)


@pytest.mark.parametrize(
    "host",
    ["", "*", "*.", "a.*", "http://a.example", "a.example:80", "a..b", "A.example", "a/b", "-a"],
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(InvalidArgument, match="is invalid; expected one like images"):
        Policy(proxy_hosts=(host,))
