"""Push into a repository of a Hugging Face hub: one commit shows all that was sent.

Large files go up one by one before it; the hub knows them by their SHA-256, so a push that goes on
after a kill sends none of them twice. A new repository is private.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pairdex.downloads.hub import Hub
from pairdex.downloads.hub_source import HubPlace
from pairdex.errors import FetchFailed, InvalidArgument, MissingExtra, WriteFailed
from pairdex.sharing.place import Place
from pairdex.sharing.target import Advance, Upload, another_push

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

__all__ = ["HubTarget"]

_BLOCK_BYTES = 1 << 20
_MESSAGE = "Publish the collection with pairdex push"
_CONFLICT = 412
_REASON_CHARS = 160


class HubTarget:
    """A repository; see `Target`. Its revision is the one when this was made: a later commit is refused."""

    def __init__(self, place: Place) -> None:
        self._place, self._at = place, HubPlace.at(place.url)
        self._api = _opened()
        self._lock = threading.Lock()
        self._files: list[CommitOperationAdd] = []
        with self._explained():
            self._commit = self._find()

    def has(self, upload: Upload) -> bool:  # noqa: ARG002 - the interface's
        """Return False: the hub itself says which bytes it has when they are announced; see `Target`."""
        return False

    def put(self, upload: Upload, advance: Advance) -> None:
        """Send a large file, or keep a small one for the commit; see `Target`."""
        from huggingface_hub import CommitOperationAdd  # noqa: PLC0415 - an extra

        for _ in upload.blocks(_BLOCK_BYTES):  # raises if the file is damaged
            pass
        source = upload.source if isinstance(upload.source, bytes) else str(upload.source)
        file = CommitOperationAdd(self._path(upload.name), source)
        with self._explained():
            self._make_repository()
            self._api.preupload_lfs_files(self._at.name, [file], **self._where, free_memory=False)
        with self._lock:
            self._files.append(file)
        advance(upload.size)

    def publish(
        self,
        name: str,
        data: bytes,
        version: str | None,  # noqa: ARG002 - the commit stands for it
        retired: Sequence[str],
    ) -> None:
        """Commit what was sent, with the list; see `Target`."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete  # noqa: PLC0415

        with self._explained():
            self._make_repository()
            self._api.create_commit(
                self._at.name,
                [
                    *self._files,
                    CommitOperationAdd(self._path(name), data),
                    *(CommitOperationDelete(self._path(old)) for old in retired),
                ],
                commit_message=_MESSAGE,
                parent_commit=self._commit,
                **self._where,
            )

    @property
    def _where(self) -> dict[str, Any]:
        return {"repo_type": self._at.kind, "revision": self._at.revision}

    def _path(self, name: str) -> str:
        return f"{self._at.path}/{name}" if self._at.path else name

    def _find(self) -> str | None:
        """Return the commit that the revision stands for; None if there is no repository."""
        from huggingface_hub.errors import RepositoryNotFoundError  # noqa: PLC0415 - an extra

        try:
            found = self._api.repo_info(self._at.name, **self._where)
        except RepositoryNotFoundError:
            return None
        return str(found.sha)

    def _make_repository(self) -> None:
        """Make the repository, private, unless it is there."""
        with self._lock:
            if self._commit is None:
                self._api.create_repo(
                    self._at.name, repo_type=self._at.kind, private=True, exist_ok=True
                )
                self._commit = self._find()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the hub answers into errors of ours, without tokens."""
        import httpx2  # noqa: PLC0415 - huggingface_hub's
        from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 - an extra

        try:
            yield
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status == _CONFLICT:
                raise another_push(self._place) from error
            if status in (401, 403, 404):
                raise WriteFailed(
                    f"cannot write {self._place}: the hub answers {status}; set HF_TOKEN to a token "
                    "that may write there, and check the name"
                ) from error
            raise WriteFailed(
                f"cannot write {self._place}: the hub answers {status}; push again"
            ) from error
        except httpx2.HTTPError as error:
            raise FetchFailed(
                f"{self._place} cannot be reached ({_reason(error)}); push again"
            ) from error
        except RuntimeError as error:  # of an upload that failed after its retries
            raise FetchFailed(
                f"{self._place} did not take a file ({_reason(error.__cause__ or error)}); push again"
            ) from error


def _reason(error: BaseException) -> str:
    """Return the first words of an error, without the query of an address, which is a signature."""
    words = re.sub(r"\?\S*", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {words}"[:_REASON_CHARS]


def _opened() -> HfApi:
    """Return the client of the hub that the environment names."""
    hub = Hub.from_environment()
    if hub.offline:
        raise InvalidArgument("HF_HUB_OFFLINE forbids pushing to hf: addresses", field="url")
    try:
        from huggingface_hub import HfApi  # noqa: PLC0415 - an extra
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(
            "pushing to hf: addresses needs huggingface_hub: pip install 'pairdex[remote]'"
        ) from error
    disable_progress_bars()
    return HfApi(endpoint=hub.endpoint, token=hub.token or False)
