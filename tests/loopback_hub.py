"""A Hugging Face hub on the loopback: the routes of models, redirects to another origin for large files."""

import hashlib
import json
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quiet_handler import QuietHandler

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Server:
    def __init__(self, handler):
        self.requests = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, self))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self):
        self._http.shutdown()
        self._http.server_close()


class Hub(_Server):
    """Repositories of one commit each; files of LFS lie at the CDN, behind a redirect.

    `token` is asked for if it is set; `pause_after` holds every CDN answer after so many bytes until
    `arrived` was waited for and the client has gone.
    """

    def __init__(self):
        super().__init__(_HubHandler)
        self.cdn = _Server(_CdnHandler)
        self.cdn.hub = self
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.large: set[str] = set()
        self.token = None
        self.stated = {}  # path: the SHA-256 that the listing claims, where it is a lie
        self.wrong = {}  # path: the bytes that are sent instead
        self.pause_after = None
        self.arrived = threading.Event()

    def stop(self):
        super().stop()
        self.cdn.stop()

    def put(self, repository, folder):
        """Publish a folder; weights and tokenizers are large files, as on the real hub."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.repositories[repository] = files
        self.large |= {name for name in files if name.endswith((".safetensors", ".bin"))}

    def asked(self, part):
        """The requests of the hub whose path has this part."""
        return [path for path, _ in self.requests if part in path]

    def tree(self, repository):
        entries = []
        for name, data in self.repositories[repository].items():
            entry = {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}
            if name in self.large:
                oid = self.stated.get(name, hashlib.sha256(data).hexdigest())
                entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 134}
            entries.append(entry)
        return [*entries, {"type": "directory", "path": "onnx", "size": 0, "oid": "0" * 40}]


def _blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, content):
        self.send(200, json.dumps(content).encode(), Content_Type="application/json")

    def send_range(self, data, pause_after=None, **headers):
        status, start, size = 200, 0, len(data)
        if asked := self.headers.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            status, start = 206, int(first)
            data = data[: int(last) + 1 if last else size]
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{size}"
        self.send_response(status)
        for key, value in (headers | {"Accept_Ranges": "bytes"}).items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:] if pause_after is None else data[start : start + pause_after])
        self.wfile.flush()
        if pause_after is not None:
            self.close_connection = True
            self.world.hub.arrived.set()
            time.sleep(30)


class _HubHandler(_Handler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        world = self.world
        world.requests.append((self.path, dict(self.headers)))
        if world.token and self.headers.get("Authorization") != f"Bearer {world.token}":
            self.send(401, b'{"error":"Invalid credentials"}', X_Error_Code="GatedRepo")
            return
        path, _, _ = self.path.partition("?")
        pieces = path.strip("/").split("/")
        if pieces[:2] == ["api", "models"] and "/".join(pieces[2:4]) in world.repositories:
            repository, route = "/".join(pieces[2:4]), pieces[4:5]
            if route == ["revision"]:
                self.send_json({"id": repository, "sha": COMMIT, "siblings": []})
                return
            if route == ["tree"]:
                self.send_json(world.tree(repository))
                return
        elif pieces[2:3] == ["resolve"]:
            self._resolve("/".join(pieces[:2]), "/".join(pieces[4:]))
            return
        self.send(404, b'{"error":"Repository not found"}', X_Error_Code="RepoNotFound")

    def _resolve(self, repository, name):
        world = self.world
        data = world.repositories.get(repository, {}).get(name)
        if data is None:
            self.send(404, b"Entry not found", X_Error_Code="EntryNotFound")
        elif name in world.large:
            digest = hashlib.sha256(data).hexdigest()
            self.send(
                302,
                Location=f"{world.cdn.url}/{repository}/{digest}?signature=secret&name={name}",
                ETag=f'"{digest}"',
                X_Linked_ETag=f'"{digest}"',
                X_Linked_Size=str(len(data)),
                X_Repo_Commit=COMMIT,
            )
        else:
            sent = world.wrong.get(name, data)
            self.send_range(sent, ETag=f'"{_blob(data)}"', X_Repo_Commit=COMMIT)


class _CdnHandler(_Handler):
    def do_GET(self):
        world, hub = self.world, self.world.hub
        world.requests.append((self.path, dict(self.headers)))
        path, _, query = self.path.partition("?")
        name = query.partition("name=")[2]
        repository = "/".join(path.strip("/").split("/")[:2])
        data = hub.wrong.get(name, hub.repositories[repository][name])
        self.send_range(data, hub.pause_after, ETag=f'"{path.rpartition("/")[2]}"')
