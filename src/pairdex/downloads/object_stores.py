"""Object stores (s3:, gs:, az:) through obstore: their connections, and what their errors mean.

Credentials are those of the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`); messages never repeat them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pairdex.downloads.streams import Interrupted, NotThere, shown, split_url
from pairdex.errors import FetchFailed, InvalidArgument, MissingExtra

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["SCHEMES", "ObjectStores", "explained"]

SCHEMES = frozenset({"s3", "gs", "az"})

# One request moves at most 16 MiB, so a stalled one is noticed, and a slow line (0.13 MB/s) is not cut.
_REQUEST_SECONDS = 120
_CONNECT_SECONDS = 30
_RETRIES = 2  # inside one request; `Tries` waits between further ones
_REASON_CHARS = 160
_SECRETS = re.compile(
    r"\?\S*|(?<=//)[^/\s@]*@"
)  # queries hold signatures, addresses may hold passwords
_CODE = re.compile(r"<Code>(\w+)</Code>")


class ObjectStores:
    """The stores of one transfer, one for each bucket or container."""

    def __init__(self) -> None:
        self._stores: dict[str, ObjectStore] = {}

    def find(self, url: str) -> tuple[ObjectStore, str]:
        """Return the store of an address, and the key in it.

        Raises
        ------
        MissingExtra
            obstore is not installed.
        InvalidArgument
            The address names no bucket, or what reaches it is not configured.
        """
        split = split_url(url)
        if not split.netloc or "@" in split.netloc:
            raise InvalidArgument(
                f"{shown(url)} names no bucket; expected {split.scheme}://bucket/folder",
                field="url",
            )
        root = f"{split.scheme}://{split.netloc}"
        if root not in self._stores:
            self._stores[root] = _opened(root)
        return self._stores[root], unquote(split.path.strip("/"))


def _opened(root: str) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
        from obstore.store import from_url  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(
            f"{split_url(root).scheme}: addresses need obstore: pip install 'pairdex[remote]'"
        ) from error
    try:
        return from_url(
            root,
            client_options={
                "allow_http": _is_http(),
                "timeout": timedelta(seconds=_REQUEST_SECONDS),
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            },
            retry_config={"max_retries": _RETRIES},
        )
    except (BaseError, ValueError) as error:
        raise InvalidArgument(
            f"{root} cannot be opened: {_reason(error)}; set the variables of its store, such as "
            "AWS_REGION or AZURE_STORAGE_ACCOUNT_NAME",
            field="url",
        ) from error


def _is_http() -> bool:
    """Return whether the environment names an endpoint without TLS, as one's own servers have."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what obstore raises into errors of ours, without signatures or keys.

    Raises
    ------
    NotThere, FetchFailed
        There is no such object, or it may not be read or written.
    Interrupted
        A retry may help.
    """
    from obstore.exceptions import (  # noqa: PLC0415 - an extra
        BaseError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    try:
        yield
    except FileNotFoundError as error:
        bucket = " (its bucket is not there)" if "NoSuchBucket" in str(error) else ""
        raise NotThere(f"{shown(url)} is not there{bucket}") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise FetchFailed(
            f"{shown(url)} is refused: {_reason(error)}; check the credentials in the environment, or "
            "for a public bucket set AWS_SKIP_SIGNATURE=true"
        ) from error
    except BaseError as error:
        unreachable = "error sending request" in str(error)
        reason = f"{shown(url)} cannot be reached: {_reason(error)}"
        raise Interrupted(reason, unreachable=unreachable) from error


def _reason(error: BaseException) -> str:
    """Return the code that a store answers, or else the first line, without secrets."""
    code = _CODE.search(str(error))
    if code:
        return code[1]
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return _SECRETS.sub("", line)[:_REASON_CHARS]
