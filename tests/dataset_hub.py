"""A Hugging Face hub on the loopback that takes commits of data sets: what pushes and pulls ask for."""

import base64
import hashlib
import json
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quiet_handler import QuietHandler

LARGE = (".npy", ".arrow", "codes")  # names of files that the hub takes as large ones (LFS)


class DatasetHub:
    """Data sets by name, each a list of commits: (id, files). `token` is asked for.

    `uploads` are the large files that were sent, in order; `requests` are (method, path).
    """

    def __init__(self, token="loopback-token"):
        self.token = token
        self.upload_status = 200
        self.commits, self.private = {}, {}
        self.objects, self.uploads, self.requests = {}, [], []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self):
        self._http.shutdown()
        self._http.server_close()

    def commit(self, name, files):
        """Add a commit with these files and return its id."""
        number = f"{name}{len(self.commits[name])}"
        sha = hashlib.sha1(number.encode()).hexdigest()
        self.commits[name].append((sha, files))
        return sha

    def files(self, name):
        return self.commits[name][-1][1]


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    def do_GET(self):
        self._route("GET")

    def do_HEAD(self):
        self._route("HEAD")

    def do_POST(self):
        self._route("POST")

    def do_PUT(self):
        self._route("PUT")

    def _route(self, method):
        world, path = self.world, self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        world.requests.append((method, path))
        if path.startswith("/upload/"):
            if world.upload_status == 200:
                world.objects[path.rpartition("/")[2]] = body
                world.uploads.append(body)
            self._send(world.upload_status, b"")
            return
        if self.headers.get("Authorization") != f"Bearer {world.token}":
            self._send(401, b'{"error":"Invalid credentials"}')
            return
        for pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found:
                answer(self, found, body)
                return
        self._send(404, b"{}", X_Error_Code="EntryNotFound")

    def _send(self, status, body, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, content):
        self._send(200, json.dumps(content).encode(), Content_Type="application/json")

    def _create(self, _, body):
        asked = json.loads(body)
        name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        self.world.commits.setdefault(name, [])
        self.world.private[name] = asked.get("private", asked.get("visibility") == "private")
        self.world.commit(name, {})
        self._json({"url": f"{self.world.url}/datasets/{name}"})

    def _info(self, found, _):
        commits = self.world.commits.get(found[1])
        if not commits:
            self._send(404, b"{}", X_Error_Code="RepoNotFound")
            return
        self._json({"id": found[1], "sha": commits[-1][0], "private": True, "siblings": []})

    def _preupload(self, _, body):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in json.loads(body)["files"]
        ]
        self._json({"files": files})

    def _batch(self, _, body):
        objects = []
        for each in json.loads(body)["objects"]:
            href = {"href": f"{self.world.url}/upload/{each['oid']}?signature=x", "header": {}}
            known = each["oid"] in self.world.objects
            objects.append(each | ({} if known else {"actions": {"upload": href}}))
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, found, body):
        lines = [json.loads(line) for line in body.splitlines()]
        head, files = self.world.commits[found[1]][-1]
        if lines[0]["value"].get("parentCommit") not in (None, head):
            self._send(412, b'{"error":"A commit has happened since"}')
            return
        files = dict(files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.world.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"])
        sha = self.world.commit(found[1], files)
        url = f"{self.world.url}/datasets/{found[1]}/commit/{sha}"
        self._json({"success": True, "commitOid": sha, "commitUrl": url})

    def _resolve(self, found, _):
        commits = dict(self.world.commits.get(found[1], []))
        data = commits.get(found[2], {}).get(found[3])
        if data is None:
            self._send(404, b"Entry not found", X_Error_Code="EntryNotFound")
            return
        start, headers = 0, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206 if asked else 200, data[start:], **headers)


_NAME = r"([^/]+/[^/]+)"
_ROUTES = [
    (r"/api/repos/create", _Handler._create),
    (rf"/api/datasets/{_NAME}(?:/revision/[^/]+)?", _Handler._info),
    (rf"/api/datasets/{_NAME}/preupload/[^/]+", _Handler._preupload),
    (rf"/datasets/{_NAME}\.git/info/lfs/objects/batch", _Handler._batch),
    (rf"/api/datasets/{_NAME}/commit/[^/]+", _Handler._commit),
    (rf"/datasets/{_NAME}/resolve/([0-9a-f]{{40}})/(.+)", _Handler._resolve),
]
