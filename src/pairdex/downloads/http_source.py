"""Read files from web servers: ranges, validators, busy responses, and folder listings."""

from __future__ import annotations

import email.utils
import html
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timezone
from functools import cache
from urllib.parse import unquote, urldefrag, urljoin

import httpx

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.retry import Hosts, Retry
from pairdex.downloads.streams import Interrupted, NotThere, Stream, host_of, shown, split_url
from pairdex.errors import FetchFailed, InvalidArgument
from pairdex.version import __version__

__all__ = ["HttpSource"]

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})
_PAGE_LIMIT_BYTES = (
    32 << 20
)  # limit of one folder's listing; HTML of a million files takes about 100 MB
_PAGES_LIMIT = 1000  # folders below one address
# Lengths are bounded, so that broken tags are parsed in linear time.
_HREF = re.compile(
    r"""<a\s[^<>]{0,2000}?\bhref\s{0,9}=\s{0,9}("[^"<>]{1,4096}"|'[^'<>]{1,4096}'|[^\s"'<>]{1,4096})""",
    re.IGNORECASE,
)
_LENGTH = re.compile(r"[0-9]{1,18}")  # more than 18 digits are not a file's size
_CONTENT_RANGE = re.compile(
    rf"bytes (?:({_LENGTH.pattern})-{_LENGTH.pattern}|\*)/({_LENGTH.pattern}|\*)"
)
_RANGE_REFUSED = "206 or 416"


class HttpSource:
    """Reads http:// and https:// addresses; one connection pool for all threads."""

    def __init__(
        self,
        hosts: Hosts,
        retry: Retry,
        headers_of: Callable[[str], dict[str, str]] | None = None,
    ) -> None:
        self._hosts, self._retry = hosts, retry
        self._headers_of = headers_of or (lambda _: {})
        self._client = httpx.Client(
            verify=_authorities(),
            follow_redirects=True,
            # Sizes and ranges of compressed responses differ from the file's own.
            headers={"User-Agent": f"pairdex/{__version__}", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(retry.stall_seconds, connect=retry.connect_seconds, pool=None),
            limits=httpx.Limits(max_connections=None),
            event_hooks={"response": [_check_redirect]},
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    @contextmanager
    def open(
        self, url: str, start: int = 0, validator: str | None = None, stop: int | None = None
    ) -> Iterator[Stream]:
        """Open a file at `start` if it is still the one of `validator`; see `Source`."""
        headers = {}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
            if validator:
                headers["If-Range"] = validator
        with self._answer(url, headers) as answer:
            stream = self._stream(answer, start)
            if stream is not None and _is_same(validator, stream):
                yield stream
                return
        if not start:
            raise Interrupted(
                f"{host_of(url)} answers {_RANGE_REFUSED} to a request for the whole file"
            )
        with self.open(url) as stream:  # the file changed or is too short: start over
            yield stream

    def find(self, url: str) -> list[Entry]:
        """Return the files that the pages of a web server's folder link to; see `Source`."""
        base = url.rstrip("/") + "/"
        found: dict[str, Entry] = {}
        pages, seen = [base], {base}
        while pages:
            page = pages.pop()
            for target in self._links(page):
                inside = target.startswith(base) and target != page
                if inside and target.endswith("/") and target not in seen:
                    seen.add(target)
                    pages.append(target)
                elif inside and not target.endswith("/"):
                    path = unquote(target.removeprefix(base))
                    found[path] = Entry(path, (target,))
            if len(seen) > _PAGES_LIMIT:
                raise FetchFailed(
                    f"{shown(url)} has more than {_PAGES_LIMIT:,} folders; give one of them"
                )
        return [found[path] for path in sorted(found)]

    @contextmanager
    def _answer(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        host = host_of(url)
        with self._hosts.connection(host):
            try:
                # The client drops `Authorization` when a redirect leads to another origin.
                headers = headers | self._headers_of(url)
                with self._client.stream("GET", url, headers=headers) as answer:
                    self._check(answer, url, host)
                    yield answer
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = f"{host} cannot be reached ({error})"
                raise Interrupted(reason, unreachable=True) from error
            except httpx.TimeoutException as error:
                waited = self._retry.stall_seconds
                raise Interrupted(f"{host} sent nothing for {waited:g} s") from error
            except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.UnsupportedProtocol) as error:
                raise FetchFailed(f"{shown(url)} cannot be fetched: {error}") from error
            except httpx.HTTPError as error:
                raise Interrupted(f"{host} broke off ({error})") from error
            except (ValueError, OverflowError) as error:  # raised for a response that is not HTTP
                reason = " ".join(str(error).split())[:120]
                raise FetchFailed(f"{host} answers {shown(url)} with nonsense: {reason}") from error

    def _check(self, answer: httpx.Response, url: str, host: str) -> None:
        self._hosts.note_answer(host)
        status = answer.status_code
        if status in _BUSY:
            wait = self._asked_seconds(answer)
            if wait is not None:
                self._hosts.pause(host, wait)
            raise Interrupted(f"{host} answers {status}", wait_seconds=wait)
        if status in _GONE:
            raise NotThere(f"{shown(url)} is not there any more ({status})")
        if status not in (200, 206, 416):
            raise FetchFailed(f"{shown(url)} cannot be fetched: {host} answers {status}")
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise FetchFailed(
                f"{shown(url)} cannot be fetched: {host} sends it encoded as {encoding}"
            )

    def _stream(self, answer: httpx.Response, start: int) -> Stream | None:
        """Return the range of bytes in the response; None if it is not the requested range."""
        validator = _validator(answer)
        if answer.status_code == 200:
            _refuse_page(answer)
            length = answer.headers.get("Content-Length", "")
            total = int(length) if _LENGTH.fullmatch(length) else None
            return Stream(0, total, validator, answer.iter_raw())
        said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        total = int(said[2]) if said and said[2] != "*" else None
        if answer.status_code == 416:
            if total == start and total is not None:
                return Stream(start, total, validator, iter(()))
            return None
        if said is None or said[1] is None or int(said[1]) != start:
            return None
        return Stream(start, total, validator, answer.iter_raw())

    def _asked_seconds(self, answer: httpx.Response) -> float | None:
        """Return the seconds of Retry-After, given as seconds or a date (RFC 9110, 10.2.3)."""
        asked = answer.headers.get("Retry-After", "").strip()
        if _LENGTH.fullmatch(asked):
            return float(asked)
        try:
            date = email.utils.parsedate_to_datetime(asked)
            if date.tzinfo is None:
                date = date.replace(tzinfo=timezone.utc)
            return max(0.0, date.timestamp() - self._retry.now())
        except (TypeError, ValueError, LookupError, OverflowError):
            return None

    def _links(self, page: str) -> list[str]:
        with self._answer(page, {}) as answer:
            if not answer.headers.get("Content-Type", "").startswith("text/html"):
                raise FetchFailed(
                    f"{shown(page)} is not a folder listing; give the address of a file"
                )
            text = bytearray()
            for chunk in answer.iter_raw():
                text += chunk
                if len(text) > _PAGE_LIMIT_BYTES:
                    raise FetchFailed(f"{shown(page)} is not a folder listing: it is too long")
        hrefs = _HREF.findall(text.decode("utf-8", "replace"))
        targets = (_joined(page, html.unescape(href.strip("\"'"))) for href in hrefs)
        return [target for target in targets if target and "?" not in target]


def _joined(page: str, href: str) -> str | None:
    """Return the address of a link; None if it is invalid."""
    try:
        return urldefrag(urljoin(page, href)).url
    except ValueError:
        return None


def _check_redirect(answer: httpx.Response) -> None:
    """Raise for a redirect to anything other than http(s), before the client follows it."""
    if not answer.has_redirect_location:
        return
    target = _joined(str(answer.url), answer.headers["Location"])
    try:
        split = split_url(target or "")
        is_web = split.scheme in ("http", "https") and bool(split.hostname)
    except InvalidArgument:
        is_web = False
    if not is_web:
        raise FetchFailed(
            f"{shown(str(answer.url))} cannot be fetched: it leads to "
            f"{answer.headers['Location'][:120]!r}, which is not a web address"
        )


@cache
def _authorities() -> ssl.SSLContext:
    """Return the TLS context, loaded once: loading takes longer than fetching a small file."""
    return httpx.create_ssl_context()


def _validator(answer: httpx.Response) -> str | None:
    """Return a validator for If-Range: a strong ETag, or else the date (RFC 9110, 13.1.5)."""
    tag: str = answer.headers.get("ETag", "")
    date: str | None = answer.headers.get("Last-Modified")
    return tag if tag.startswith('"') else date


def _is_same(validator: str | None, stream: Stream) -> bool:
    """Return whether a range belongs to the file that was partly received.

    A response to If-Range may omit Last-Modified (RFC 9110, 15.3.7). A server without If-Range
    support sends a range of the changed file, with its new validator.
    """
    return stream.start == 0 or validator is None or stream.validator in (None, validator)


def _refuse_page(answer: httpx.Response) -> None:
    """Raise for a web page that a server sends with status 200 instead of a missing file."""
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    if is_page and not answer.url.path.endswith((".html", ".htm")):
        raise FetchFailed(
            f"{shown(str(answer.url))} is a web page, not a file: it is not there any more"
        )
