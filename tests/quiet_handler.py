"""The base of tests' own web servers."""

import contextlib


class QuietHandler:
    """For a BaseHTTPRequestHandler of a server `world`: logs nothing, and outlives clients that are killed."""

    protocol_version = "HTTP/1.1"

    def __init__(self, server, *arguments):
        self.world = server
        super().__init__(*arguments)

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()
