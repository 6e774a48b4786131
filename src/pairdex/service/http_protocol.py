"""HTTP connections with limits on the size of a request's head and the time it takes.

uvicorn does not limit these. Without limits, a client could hold connections open with heads that never
end, or fill the memory with headers.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pairdex.service.limits import HEAD_SECONDS, MAX_HEAD_BYTES

__all__ = ["LimitedHttpProtocol"]


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol; it closes the connection if a head is too slow or too large."""

    head_seconds = HEAD_SECONDS
    max_head_bytes = MAX_HEAD_BYTES
    _timer: asyncio.TimerHandle | None = None  # runs while a head is received
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first head."""
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        """Receive data; refuse a head that grows beyond the limit."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._head_bytes > self.max_head_bytes:
            self.send_400_response("Request head too large")

    def on_message_begin(self) -> None:
        """Start the timer for the next head of a kept connection."""
        super().on_message_begin()
        if self._timer is None:
            self._begin()

    def on_headers_complete(self) -> None:
        """Stop the timer: the head is complete."""
        self._end()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._head_bytes = 0
        self._timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
