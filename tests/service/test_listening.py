"""Listening on a Unix socket; addresses are in test_server.py."""

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from pairdex.errors import InvalidArgument
from pairdex.service.listening import listen_on_file, remove_socket
from pairdex.service.server import serve
from served import wait_until


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gallery.example")
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def status_of(path):
    with closing(UnixConnection(path)) as asking:
        asking.request("GET", "/health")
        return asking.getresponse().status


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_answers_on_a_socket_and_removes_it_in_the_end(web, tmp_path, workers):
    path = tmp_path / "s"
    command = [sys.executable, "-m", "pairdex", "serve", web, "--unix-socket", path]
    process = subprocess.Popen(
        [*command, "--workers", workers],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr.readline() == f"serving {path} (Ctrl-C stops the server)\n"
        wait_until(lambda: status_of(path) == 200)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "pairdex: interrupted\n")
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with listen_on_file(tmp_path / "s") as listening:
        assert listening.getsockname() == str(tmp_path / "s")


def test_a_socket_in_use_is_refused_and_not_removed(tmp_path):
    with listen_on_file(tmp_path / "s"):
        with pytest.raises(InvalidArgument, match="is in use; choose another path"):
            listen_on_file(tmp_path / "s")
        remove_socket(tmp_path / "s")
        assert (tmp_path / "s").exists()
    remove_socket(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_file_that_is_no_socket_is_kept(tmp_path):
    (tmp_path / "s").write_text("precious")
    with pytest.raises(InvalidArgument, match="exists and is not a socket"):
        listen_on_file(tmp_path / "s")
    assert (tmp_path / "s").read_text() == "precious"


def test_a_path_that_cannot_be_a_socket_is_refused(tmp_path, web):
    with pytest.raises(InvalidArgument, match="longer than 107 bytes"):
        listen_on_file(tmp_path / ("s" * 108))
    with pytest.raises(InvalidArgument, match="cannot be made: no such file"):
        serve(web, unix_socket=tmp_path / "none" / "s")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_said_in_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidArgument, match="cannot be made: permission denied"):
        listen_on_file(tmp_path / "s")
