"""Real proxies in front of a real service: programs, ports and a certificate."""

import shutil
import socket
import subprocess
from contextlib import contextmanager

import pytest

from served import end, wait_until

PACKAGES = {
    "nginx": "nginx-light",
    "caddy": "caddy",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "openssl": "openssl",
}


def program(name):
    """Return the path of a program; skip the test if it is absent."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is absent: apt-get install --no-install-recommends {PACKAGES[name]}")
    return found


def free_port():
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def accepts(port):
    """Whether something listens on a port."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command, port, log, **options):
    """Run a program until the block ends; the block begins when the port accepts connections."""
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options)
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        end(process)


def replaced(text, changes):
    """Replace each key by its value; all must occur."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a certificate for localhost and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command = [*made, *subject, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"
