"""A real web server on the loopback that does to downloads what real ones do, one fault a request."""

import hashlib
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quiet_handler import QuietHandler


@dataclass
class Fault:
    """What goes wrong with one answer; without any it is right."""

    status: int | None = None
    headers: dict = field(default_factory=dict)
    break_after: int | None = None  # bytes of the body, then the connection ends
    stall_after: int | None = None  # bytes of the body, then nothing until the server ends
    lie_bytes: int = 0  # added to the true Content-Length
    ignore_range: bool = False
    ignore_if_range: bool = False
    bare_range: bool = False  # a range without validators
    no_length: bool = False
    body: bytes | None = None


@dataclass
class Served:
    data: bytes
    etag: str | None = '"1"'
    modified: str | None = None
    kind: str = "application/octet-stream"
    faults: list = field(default_factory=list)


class FaultServer:
    def __init__(self):
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, dict]] = []
        self.at_once = self.most_at_once = 0
        self.arrived = threading.Event()  # the bytes before a stall or hold have been sent
        self.gate: threading.Barrier | None = None  # answers wait until so many are being served
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    def put(self, name, data, *faults, **facts):
        self.files[name] = Served(data, faults=list(faults), **facts)
        return f"{self.url}/{name}"

    def put_sums(self, folder=""):
        """Publish the checksums of all files, as sha256sum writes them."""
        lines = [
            f"{hashlib.sha256(served.data).hexdigest()}  {name.removeprefix(folder)}\n"
            for name, served in self.files.items()
            if name.startswith(folder)
        ]
        self.put(f"{folder}SHA256SUMS", "".join(lines).encode())

    def asked(self, name):
        """The headers of the requests for one file, in order."""
        return [headers for path, headers in self.requests if path == name]

    def stop(self):
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        world = self.world
        with world.lock:
            world.requests.append((name, dict(self.headers)))
            world.at_once += 1
            world.most_at_once = max(world.most_at_once, world.at_once)
            served = world.files.get(name)
            fault = served.faults.pop(0) if served and served.faults else Fault()
        try:
            if world.gate and served:
                world.gate.wait()
            self._answer(name, served, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with world.lock:
                world.at_once -= 1

    def _answer(self, name, served, fault):
        if served is None:
            self._answer_folder(name)
            return
        if fault.status:
            self._send(fault.status, fault.headers, fault.body or b"", Fault())
            return
        status, data = 200, served.data if fault.body is None else fault.body
        headers = {"Content-Type": served.kind} | fault.headers
        if served.etag:
            headers["ETag"] = served.etag
        if served.modified:
            headers["Last-Modified"] = served.modified
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, served.etag, served.modified)
        if asked and not fault.ignore_range and (same or fault.ignore_if_range):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
            if start >= len(data):
                headers["Content-Range"] = f"bytes */{len(data)}"
                self._send(416, headers, b"", fault)
                return
            status = 206
            if fault.bare_range:
                headers.pop("Last-Modified", None)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
            data = data[start:end]
        self._send(status, headers, data, fault)

    def _answer_folder(self, name):
        folder = name if not name or name.endswith("/") else f"{name}/"
        inside = {f[len(folder) :].split("/") [0] + ("/" if "/" in f[len(folder) :] else "")
                  for f in self.world.files if f.startswith(folder)}  # fmt: skip
        if not inside:
            self._send(404, {}, b"", Fault())
            return
        links = "".join(f'<a href="{each}">{each}</a>' for each in ["../", *sorted(inside)])
        page = f'<html><a href="?C=N">Name</a>{links}</html>'.encode()
        self._send(200, {"Content-Type": "text/html"}, page, Fault())

    def _send(self, status, headers, body, fault):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if not fault.no_length:
            self.send_header("Content-Length", str(len(body) + fault.lie_bytes))
        self.end_headers()
        last = fault.break_after if fault.stall_after is None else fault.stall_after
        self.wfile.write(body if last is None else body[:last])
        self.wfile.flush()
        if fault.stall_after is not None:
            self.world.arrived.set()
            self.world.ended.wait()
        if last is not None or fault.lie_bytes or fault.no_length:
            self.close_connection = True
