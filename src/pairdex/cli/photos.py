"""`pairdex photos`: from a folder of pictures to the page in one command."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any

import typer

import pairdex
from pairdex.arguments import StrPath
from pairdex.cli.encode import AsStoredOption, DeviceOption
from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, print_lines, printable, progress_bars
from pairdex.encoders.encoder import DEFAULT_DEVICE
from pairdex.encoders.first_use import model_place
from pairdex.encoders.known_models import find_known, model_cache
from pairdex.encoders.model import BUILT_IN
from pairdex.errors import PairdexError
from pairdex.follow.photos import PhotosReport, collection_of
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT
from pairdex.store.manifest import MANIFEST, read_manifest
from pairdex.wording import duration

EXAMPLES = (
    "pairdex photos ~/Pictures --model ViT-B/32",
    "pairdex photos ~/Pictures --watch",
    "pairdex photos ~/Pictures ~/Pictures-pairdex --moved-to ~/Photos",
)

_FOR_PHOTOGRAPHS = "ViT-B/32"
_LONGEST_END_SECONDS = 10.0  # the part in hand is given up then; the next run encodes it again


def _named_folder(text: str) -> Path:
    """Return a folder; an empty name, as of an unset variable, would be the current folder."""
    if not text:
        raise typer.BadParameter("it is empty; name a folder")
    return Path(text)


FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", parser=_named_folder, help="Folder of pictures.")
]
PlaceArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="COLLECTION",
        help="Folder of the collection (default: FOLDER-pairdex, beside it).",
    ),
]
EncodedOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model: demo, the name of a published model, or a model folder (default: the "
        "collection's own; for a new one ViT-B/32 if it was fetched before, else demo).",
    ),
]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Keep following the folder until Ctrl-C.")
]
NoServeOption = Annotated[bool, typer.Option("--no-serve", help="Do not start the server.")]
MovedOption = Annotated[
    Path | None,
    typer.Option(
        metavar="NEW", help="FOLDER was moved or renamed as a whole: its pictures are in NEW now."
    ),
]
TakeDownOption = Annotated[
    bool,
    typer.Option(
        "--take-down", help="Take vanished pictures down even if they are nearly all of them."
    ),
]
PortOption = Annotated[
    int, typer.Option(metavar="PORT", help="Port of the web page; 0 picks a free one.")
]


def command(
    folder: FolderArgument,
    collection: PlaceArgument = None,
    model: EncodedOption = None,
    watch: WatchOption = False,
    no_serve: NoServeOption = False,
    moved_to: MovedOption = None,
    take_down: TakeDownOption = False,
    as_stored: AsStoredOption = False,
    device: DeviceOption = DEFAULT_DEVICE,
    port: PortOption = DEFAULT_PORT,
    as_json: JsonOption = False,
) -> None:
    """Search your own pictures: encode, build and serve them.

    Run the same command again after pictures were added, moved, edited or deleted: it encodes only
    what changed, and resumes a run that was interrupted.
    """
    place = collection_of(folder, collection)
    options: dict[str, Any] = {
        "model": _model(model, place),
        "as_stored": True if as_stored else None,
        "device": device,
    }
    with progress_bars() as progress:
        report = pairdex.photos(
            folder, place, moved_to=moved_to, take_down=take_down, progress=progress, **options
        )
    follower = _Follower(moved_to or folder, place, options) if watch else None
    if no_serve:
        _show(report, None, as_json)
        if follower is not None:
            follower.run()
        return
    _serve(report, place, port, as_json, follower)


def _model(name: str | None, collection: Path) -> StrPath | None:
    """Return the model that is named or, for a new collection, the best one that is at hand."""
    if name is not None:
        return model_place(name)
    if (collection / MANIFEST).exists():
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
        from pairdex.follow.watch import changes_of  # noqa: PLC0415 - only for --watch

        def linked() -> tuple[str, ...]:
            return read_manifest(self._collection).parts[0].linked

        sys.stderr.write(f"following {printable(self._folder)} (Ctrl-C stops it)\n")
        for _ in changes_of(self._folder, linked, self._stop):
            try:
                report = pairdex.photos(
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
    from pairdex.service.server import serve  # noqa: PLC0415 - not for --no-serve

    def ready(url: str) -> None:
        _show(report, url, as_json)
        if follower is not None:
            follower.start()

    try:
        serve([pairdex.open(place)], host=DEFAULT_HOST, port=port, ready=ready)
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
        sys.stdout.write(f"Search them in a browser: {url} (Ctrl-C stops it)\n")
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
