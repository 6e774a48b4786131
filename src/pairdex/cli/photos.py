"""`pairdex photos`: a folder of pictures → the page, in one command."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any

import typer

from pairdex.cli.model_option import model_cache, model_place
from pairdex.cli.output import (
    JsonOption,
    duration,
    print_json,
    print_lines,
    printable,
    progress_bars,
)
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device
from pairdex.encoders.known_models import find_known
from pairdex.encoders.model import BUILT_IN
from pairdex.errors import PairdexError
from pairdex.photos.photos import PhotosReport, collection_of, photos
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT

_FOR_PHOTOGRAPHS = "ViT-B/32"
_LONGEST_END_SECONDS = 10.0  # what is in hand is lost otherwise, and done again by the next run


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    collection: Annotated[
        Path | None,
        typer.Argument(help="Folder of the collection; by default FOLDER-pairdex beside it."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model: a known name like ViT-B/32, a folder, or demo. By default the "
            "collection's own; for a new one ViT-B/32 where it is at hand, else demo."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on following the folder.")] = False,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not serve the page.")] = False,
    moved_to: Annotated[
        Path | None, typer.Option(help="Where the folder lies now, if it was moved as a whole.")
    ] = None,
    as_stored: Annotated[
        bool, typer.Option("--as-stored", help="Do not turn pictures upright by EXIF.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = DEFAULT_DEVICE,
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.")] = DEFAULT_PORT,
    as_json: JsonOption = False,
) -> None:
    """Search your own pictures: encode them, build a collection, serve the page.

    Run it again after pictures were added, moved, edited or deleted: only what changed is encoded.

    Examples: pairdex photos ~/Pictures · pairdex photos ~/Pictures --watch --model ViT-B/32
    """
    place = collection_of(folder, collection)
    options: dict[str, Any] = {
        "model": _model(model, place),
        "as_stored": True if as_stored else None,
        "device": device,
    }
    with progress_bars() as progress:
        report = photos(folder, place, moved_to=moved_to, progress=progress, **options)
    follower = _Follower(moved_to or folder, place, options) if watch else None
    if no_serve:
        _show(report, None, as_json)
        if follower is not None:
            follower.run()
        return
    _serve(report, place, port, as_json, follower)


def _model(name: str | None, collection: Path) -> str | Path | None:
    """Return the model that is named or, for a new collection, the best one that is at hand."""
    if name is not None:
        return model_place(name)
    if (collection / "collection.json").exists():
        return None
    known = find_known(_FOR_PHOTOGRAPHS)
    assert known is not None, "it is in the table"
    folder = model_cache() / known.folder
    return folder if folder.is_dir() else BUILT_IN


class _Follower:
    """Runs again whenever the folder has changed, and says on stderr what became of it."""

    def __init__(self, folder: Path, collection: Path, options: dict[str, Any]) -> None:
        self._folder = folder
        self._collection = collection
        self._options = options
        self._stop = Event()
        self._thread = Thread(target=self.run, daemon=True)

    def start(self) -> None:
        """Follow beside the service."""
        self._thread.start()

    def end(self) -> None:
        """End at the next picture."""
        self._stop.set()
        self._thread.join(_LONGEST_END_SECONDS)

    def run(self) -> None:
        """Follow until the end."""
        from pairdex.photos.watch import changes_of  # noqa: PLC0415 - only who watches waits for it
        from pairdex.store.manifest import read_manifest  # noqa: PLC0415

        def linked() -> tuple[str, ...]:
            return read_manifest(self._collection).parts[0].linked

        sys.stderr.write(f"following {printable(self._folder)} (Ctrl-C ends it)\n")
        for _ in changes_of(self._folder, linked, self._stop):
            try:
                report = photos(
                    self._folder, self._collection, progress=self._check, **self._options
                )
            except _Ended:
                return
            except (PairdexError, OSError) as error:
                sys.stderr.write(f"pairdex: {printable(error)}\n")
                continue
            if report.added or report.removed or report.moved:
                sys.stderr.write(f"{_sentence(report)}\n")

    def _check(self, *_: object) -> None:
        if self._stop.is_set():
            raise _Ended


class _Ended(Exception):
    """The command ends: what is encoded in this moment is left to the next run."""


def _serve(
    report: PhotosReport, place: Path, port: int, as_json: bool, follower: _Follower | None
) -> None:
    from pairdex.collection import Collection  # noqa: PLC0415 - who does not serve does not wait
    from pairdex.service.server import serve  # noqa: PLC0415

    def ready(url: str) -> None:
        _show(report, url, as_json)
        if follower is not None:
            follower.start()

    try:
        serve([Collection.open(place)], host=DEFAULT_HOST, port=port, ready=ready)
    finally:
        if follower is not None:
            follower.end()


def _show(report: PhotosReport, url: str | None, as_json: bool) -> None:
    if as_json:
        content = asdict(report)
        content["failures"] = [
            {"file": printable(name), "reason": reason} for name, reason in report.failures
        ]
        print_json(content | {"url": url})
        sys.stdout.flush()
        return
    lines: dict[str, object] = {
        "collection": report.collection,
        "pictures": f"{report.rows:,}, {report.orientation}",
        "changes": _sentence(report),
        "model": f"{report.model}, {report.dim} dimensions",
        "time": duration(report.seconds),
    }
    print_lines(lines | {f"note {number}": note for number, note in enumerate(report.notes, 1)})
    if url is None:
        sys.stdout.write(f"See them in a browser: pairdex serve {report.collection}\n")
    else:
        sys.stdout.write(f"Search them in a browser: {url} (Ctrl-C ends it)\n")
    sys.stdout.flush()


def _sentence(report: PhotosReport) -> str:
    counts = {
        "added": report.added,
        "taken down": report.removed,
        "moved": report.moved,
        "unchanged": report.unchanged,
        "not readable": report.failed,
    }
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return said + (f" (failed.tsv in {report.collection} lists them)" if report.failed else "")
