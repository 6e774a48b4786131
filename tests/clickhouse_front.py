"""A ClickHouse server for tests: the embedded engine behind loopback HTTP.

    python clickhouse_front.py FOLDER [--user U --password P] [--tls PEM] [--cluster NAME] [--udf DIR]

It prints its address. Answers are the engine's own bytes, with two exceptions: this program checks the
password, and it runs `ON CLUSTER` statements on this server alone.
"""

import argparse
import base64
import re
import ssl
import tempfile
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb

TRANSPORT = {
    "query", "database", "client_protocol_version", "wait_end_of_query", "enable_http_compression",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "query_id", "session_id",
}  # fmt: skip
CLUSTER = """<clickhouse><tcp_port>9000</tcp_port><remote_servers><{name}><shard><replica>
<host>127.0.0.1</host><port>9000</port></replica></shard></{name}></remote_servers></clickhouse>"""


class Front(BaseHTTPRequestHandler):
    engine = None
    user = password = ""

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        wanted = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.body()
        if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            wanted, body = wanted | self.fields(body), b""
        if not self.allowed():
            self.answer(403, b"Code: 516. DB::Exception: Authentication failed", code=516)
            return
        try:
            self.answer(200, *self.run(wanted, body))
        except Exception as error:  # noqa: BLE001 - every error of the engine goes to the client
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            self.answer(500, text.encode(), code=code[1] if code else 1)

    def allowed(self):
        said = self.headers.get("Authorization", "Basic ZGVmYXVsdDo=")  # the default user
        return (
            base64.b64decode(said.removeprefix("Basic ")).decode() == f"{self.user}:{self.password}"
        )

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def fields(self, body):
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(
                decode=True
            ).decode()
            for part in parts
        }

    def run(self, wanted, body):
        parameters = {
            n.removeprefix("param_"): v for n, v in wanted.items() if n.startswith("param_")
        }
        settings = {
            n: v for n, v in wanted.items() if n not in TRANSPORT and not n.startswith("param_")
        }
        for name, value in settings.items():
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            self.engine.query(f"SET {name} = '{quoted}'")
        try:
            return (
                self.insert(wanted["query"], body)
                if body and "query" in wanted
                else self.query(wanted.get("query") or body, parameters)
            )
        finally:
            for name in settings:
                self.engine.query(f"SET {name} = DEFAULT")

    def insert(self, statement, body):
        head, form = statement.rsplit("FORMAT", 1)
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            self.engine.query(f"{head} FROM INFILE '{file.name}' FORMAT {form.split()[0]}")
        return b"", None

    def query(self, statement, parameters):
        if isinstance(statement, bytes):
            first, _, rest = statement.partition(b"\n")
            if first.startswith(b"INSERT") and b" FORMAT " in first:
                return self.insert(first.decode(), rest)
            statement = statement.decode()
        statement = re.sub(r" ON CLUSTER \w+", "", statement)
        named = re.search(r"FORMAT\s+(\w+)\s*$", statement)
        form = named[1] if named else "TabSeparated"
        found = self.engine.query(statement, form, params=parameters).bytes()
        return found, form if found else None

    def answer(self, status, content, form=None, code=None):
        self.send_response(status)
        if form:
            self.send_header("X-ClickHouse-Format", form)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("X-ClickHouse-Summary", "{}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--tls", type=Path)
    parser.add_argument("--cluster")
    parser.add_argument("--udf")
    given = parser.parse_args()
    options = []
    if given.cluster:
        config = given.folder.with_suffix(".xml")
        config.write_text(CLUSTER.format(name=given.cluster))
        options.append(f"config-file={config}")
    if given.udf:
        options.append(f"udf_path={given.udf}")
    Front.engine = chdb.connect(
        f"{given.folder}?{'&'.join(options)}" if options else str(given.folder)
    )
    Front.user, Front.password = given.user, given.password
    server = HTTPServer(("127.0.0.1", 0), Front)
    scheme = "http"
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    print(f"{scheme}://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
