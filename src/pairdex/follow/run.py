"""One run over a folder of pictures: apply its changes step by step.

The steps are moved rows, removed rows, then the new pictures part by part. The collection is
consistent after every step, and the state is saved after each. After a killed run, unsaved steps
are recovered from the collection itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from pairdex.arguments import StrPath
from pairdex.curate.remove import remove_rows
from pairdex.encoders.decoding import Decoder, DecodingRules, decoder
from pairdex.encoders.encoder import Device, Encoder
from pairdex.encoders.first_use import named_model, recorded_place
from pairdex.encoders.folder import FolderContent
from pairdex.encoders.model import BUILT_IN, Model
from pairdex.encoders.pictures import Orientation
from pairdex.encoders.target import write_list
from pairdex.errors import DamagedFile, Mismatch, MissingFile
from pairdex.follow.adding import Fresh, FurtherColumns, add_part, further_columns, sample
from pairdex.follow.compare import Changes, compare
from pairdex.follow.rows import (
    CONTENT,
    EDITED,
    GONE,
    keep_removed,
    live_rows,
    move_rows,
    set_places,
)
from pairdex.parts.note import Note
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest
from pairdex.store.own_model import is_recorded
from pairdex.store.photo_state import PhotoState, read_state, write_state
from pairdex.wording import counted

__all__ = ["PART_ROWS", "Run"]

# Pictures per part: the most that a kill loses, 1.5 minutes of ViT-B/32 on two cores.
PART_ROWS = 4_096

# From so many pictures on, a run that misses more than this share of them asks before it takes them down.
_MANY, _NEARLY_ALL = 10, 0.9

_FAILED, _NOTES = "failed.tsv", "notes.tsv"


@dataclass
class Run:
    """One run over a folder, with its findings and progress."""

    collection: Path
    staging: Path
    content: FolderContent
    manifest: Manifest | None = None
    state: PhotoState = field(default_factory=lambda: PhotoState(""))
    doubled: list[int] = field(default_factory=list)  # rows with a newer row of their picture
    changes: Changes = field(default_factory=Changes)
    notes: list[str] = field(default_factory=list)
    picture_notes: list[tuple[str, str]] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    replaced: int = 0
    take_down: bool = False  # vanished pictures, however many

    @property
    def root(self) -> str:
        """The folder, as the collection records it."""
        return str(self.content.root.resolve())

    def open(self, folder: Path, *, moved: bool) -> None:
        """Open the collection, if it exists, and the saved state of its pictures."""
        if not (self.collection / MANIFEST).exists():
            if moved:
                raise MissingFile(f"{self.collection} is not a collection yet: nothing has moved")
            self.state = PhotoState(self.root)
            return
        self.manifest = read_manifest(self.collection)
        if CONTENT not in self.manifest.column_names or "folder" not in self.manifest.column_names:
            raise Mismatch(
                f"{self.collection} was not made by pairdex photos; name another collection"
            )
        try:
            state = read_state(self.collection)
        except DamagedFile as error:
            self.notes.append(f"{error}; all pictures were compared by their content")
            state = None
        roots = {part.pictures for part in self.manifest.parts}
        before = state.root if state is not None else next(iter(roots)) or ""
        self._check_root(before, folder, moved=moved)
        self.state = state or PhotoState(before)
        self._catch_up()

    def _check_root(self, before: str, folder: Path, *, moved: bool) -> None:
        given = str(folder.resolve())
        if moved and given not in (before, self.root):
            raise Mismatch(
                f"{self.collection} holds the pictures of {before}, not those of {given}"
            )
        if not moved and before != self.root:
            raise Mismatch(
                f"{self.collection} holds the pictures of {before}, asked for is {self.root}; if that "
                f"folder was moved: pairdex photos {before} {self.collection} --moved-to {self.root}"
            )

    def _catch_up(self) -> None:
        """Add rows missing from the state: those of a killed run, or all if the state was lost."""
        assert self.manifest is not None, "it was opened"
        last = max((one.id for one in self.state.pictures.values()), default=-1)
        if last + 1 == self.manifest.rows:
            return
        self._keep_removed(last + 1)
        for row in live_rows(self.collection, last + 1):
            older = self.state.pictures.get(row.name)
            if older is not None and older.id >= 0:
                self.doubled.append(older.id)
            self.state.pictures[row.name] = row.known

    def choose(self, model: StrPath | None, as_stored: bool | None) -> None:
        """Choose the model and the orientation of pictures: those of the collection, if set."""
        record = None if self.manifest is None else self.manifest.model
        if record is not None and model is None:
            model = recorded_place(record)
        self.model: Model = named_model(model or BUILT_IN)
        if record is not None and not is_recorded(record, self.model):
            raise Mismatch(
                f"{self.collection} was made with the model {record['name']}, asked for is "
                f"{self.model.name}; name another collection for it"
            )
        self.orientation: Orientation = "as stored" if as_stored else "upright"
        if self.manifest is not None:
            held = self.manifest.parts[0].orientation
            if as_stored is not None and held != self.orientation:
                raise Mismatch(
                    f"{self.collection} holds pictures taken {held}, asked for is "
                    f"{self.orientation}; name another collection"
                )
            self.orientation = "upright" if held == "upright" else "as stored"
        if self.model.knows:
            self.notes.append(self.model.knows)

    def follow(self, device: Device, workers: int, progress: Progress | None) -> None:
        """Apply all changes."""
        self.changes = compare(self.content, self.state, now_ns=time.time_ns())
        self._check_there()
        if self.manifest is not None:
            self._follow_places()
            move_rows(self.collection, self.changes.moved)
            self._take_down(self.doubled, EDITED)
            self._take_down(self.changes.vanished, GONE)
        before = self.state
        self.state = PhotoState(self.root, dict(self.changes.known))
        for name, row_id in self.changes.replaced.items():  # until the new row exists
            self.state.pictures[name] = replace(before.pictures[name], mtime_ns=0, id=row_id)
        if self.manifest is not None and self.state != before:
            write_state(self.collection, self.state)
        if self.changes.new:
            self._add_all(Encoder(self.model, device=device), workers, progress)
        self._list_problems()

    def _check_there(self) -> None:
        """Raise for a folder without its pictures: an unmounted disk must not remove all rows."""
        names = set(self.content.names) - set(self.changes.failures) - set(self.changes.absent)
        known = sum(one.id >= 0 for one in self.state.pictures.values())
        vanished = len(self.changes.vanished)
        if names and known >= _MANY and vanished > _NEARLY_ALL * known and not self.take_down:
            raise MissingFile(
                f"{self.root} lacks {vanished:,} of the {counted(known, 'picture')} of {self.collection}: "
                "is this the right folder, and is its disk there? if they were deleted on purpose: "
                f"pairdex photos {self.root} {self.collection} --take-down"
            )
        if names or self.changes.unreachable:
            return
        if known:
            raise MissingFile(
                f"of the {counted(known, 'picture')} of {self.collection}, none is in {self.root}: is its disk "
                "there? if they were deleted on purpose, delete the collection too"
            )
        first = next(iter(self.changes.failures.items()), None)
        why = "" if first is None else f" that can be read ({first[0]}: {first[1]})"
        raise MissingFile(f"{self.root} holds no pictures{why}; expected .jpg, .png or the like")

    def _follow_places(self) -> None:
        assert self.manifest is not None, "there is a collection"
        linked = tuple(self.content.scan.linked)
        if any((part.pictures, part.linked) != (self.root, linked) for part in self.manifest.parts):
            set_places(self.collection, self.root, linked)

    def _take_down(self, ids: Sequence[int], reason: str) -> int:
        """Remove rows; return how many of them users had not removed before."""
        if not ids:
            return 0
        now = datetime.now(timezone.utc)
        report = remove_rows(self.collection, ids=sorted(ids), reason=reason, now=now)
        self.removed += report.removed
        return report.removed

    def _add_all(self, encoder: Encoder, workers: int, progress: Progress | None) -> None:
        names = list(self.changes.new)
        columns = further_columns(self.manifest, self.content, self.changes.said)
        rules = DecodingRules(self.model.image, self.orientation, hashed=True)
        report = at_step(progress, "encoding")
        with decoder(rules, workers=workers, threads=encoder.threads) as decoding:
            for start in range(0, len(names), PART_ROWS):

                def show(done: int, _: int, before: int = start) -> None:
                    if report is not None:
                        report(before + done, len(names))

                chunk = names[start : start + PART_ROWS]
                self._add(chunk, columns, encoder, decoding, show)
        if not any(one.id >= 0 for one in self.state.pictures.values()):
            first = next(one for one in self.state.pictures.values() if one.reason)
            raise DamagedFile(
                f"of {counted(len(names), 'picture')} in {self.root}, none can be read; "
                f"the first: {first.reason}"
            )
        if columns.late:
            self.notes.append(
                f"{', '.join(sorted(columns.late))} came later and have no column; a new collection has"
            )

    def _add(
        self,
        names: Sequence[str],
        columns: FurtherColumns,
        encoder: Encoder,
        decoding: Decoder,
        show: StepProgress,
    ) -> None:
        """Add one part, and remove the older rows of its pictures."""
        said = {name: self.changes.said[name] for name in names}
        samples = [sample(self.content, name, said[name], columns) for name in names]
        source = Fresh(self.content.root, columns.schema, self._has_captions(), samples)
        note = Note(
            self.model.record(),
            self.root,
            orientation=self.orientation,
            linked=tuple(self.content.scan.linked),
        )
        number = len(self.manifest.parts) if self.manifest is not None else 0
        first = self.manifest.rows if self.manifest is not None else 0
        failures = add_part(
            source,
            self.collection,
            self.staging,
            number=number,
            encoder=encoder,
            decoder=decoding,
            note=note,
            progress=show,
        )
        reasons = {failure.name: failure.reason for failure in failures}
        for name in names:
            reason = reasons.get(name, "its vector cannot be used")
            self.state.pictures[name] = replace(self.changes.new[name], reason=reason)
        if len(failures) < len(names):
            self.manifest = read_manifest(self.collection)
            self._take_in(first)
            self.added -= self._keep_removed(first)
        edited = [name for name in names if name in self.changes.replaced]
        for is_readable in (True, False):
            ids = [
                self.changes.replaced[name]
                for name in edited
                if (self.state.pictures[name].id >= 0) is is_readable
            ]
            removed = self._take_down(ids, EDITED)
            self.replaced += removed if is_readable else 0
        self.picture_notes += [(one.name, one.note) for one in samples if one.note]
        if self.manifest is not None:
            write_state(self.collection, self.state)

    def _has_captions(self) -> bool:
        if self.manifest is not None:
            return "text" in self.manifest.vectors
        return any(one.caption for one in self.changes.said.values())

    def _keep_removed(self, first: int) -> int:
        """Remove the rows from `first` on whose pictures users removed before; return how many."""
        kept = keep_removed(self.collection, first, now=datetime.now(timezone.utc))
        if kept:
            self.notes.append(
                f"{counted(kept, 'picture')} not shown: users removed the same content before"
            )
        return kept

    def _take_in(self, first: int) -> None:
        """Record the ids of the rows just added, from `first` on."""
        for row in live_rows(self.collection, first):
            fresh = self.changes.new[row.name]
            self.state.pictures[row.name] = replace(
                fresh, content=row.known.content, id=row.id, reason=""
            )
            self.added += 1

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The unreadable files, by name."""
        known = [(name, one.reason) for name, one in self.state.pictures.items() if one.reason]
        return sorted([*self.changes.failures.items(), *known])

    def _list_problems(self) -> None:
        """Write the failures and the notes into the collection's folder."""
        if self.manifest is None:
            return
        write_list(self.collection / _FAILED, ("file", "reason"), self.failures)
        listed = [*self.content.notes, *self.picture_notes]
        listed += [
            (name, "a table of captions names it, but it is not there")
            for name in self.changes.absent
        ]
        write_list(self.collection / _NOTES, ("file", "note"), listed)
        if listed:
            self.notes.append(
                f"{self.collection / _NOTES} lists {counted(len(listed), 'file')} to look at"
            )
