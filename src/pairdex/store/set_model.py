"""Recording which model made a collection's vectors, where its parts did not say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.encoders.first_use import record_of
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import lock
from pairdex.parts.model_record import ModelRecord, shown_model
from pairdex.store.manifest import read_manifest, write_manifest

__all__ = ["SetModelReport", "set_model"]


@dataclass(frozen=True)
class SetModelReport:
    """What the collection records now.

    `checksum` is None if the model is not on this machine; the first query compares its name then.
    `before` is the record that was there.
    """

    collection: str
    model: str
    dim: int
    checksum: str | None
    before: ModelRecord | None


@checked
def set_model(collection: StrPath, model: StrPath, *, force: bool = False) -> SetModelReport:
    """Record which model made a collection's vectors. `verify_model` checks it.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    model
        The name of a published model, which need not be on this machine; or a model folder.
    force
        Replace a record that names another model.

    Raises
    ------
    Mismatch
        The model makes vectors of another dimension.
    InvalidArgument
        The collection records another model, and `force` is false.
    PairdexError
        There is no such collection or model; another process writes the collection; the disk is full.
    """
    path, record = Path(collection), record_of(model)
    read_manifest(path)  # a folder that is not a collection has nothing to lock
    with lock.writing(path):
        manifest = read_manifest(path)
        before = manifest.model
        if record["dim"] != manifest.dim:
            raise Mismatch(
                f"{path} has vectors of {manifest.dim} dimensions, the model {record['name']} makes "
                f"{record['dim']}: another model made them"
            )
        if before is not None and not force and not _refines(before, record):
            raise InvalidArgument(
                f"{path} records the model {shown_model(before)}, not {shown_model(record)}; "
                "if the record is wrong, replace it with --force",
                field="model",
            )
        if record != before:
            write_manifest(path, replace(manifest, model=record))
    return SetModelReport(str(path), record["name"], record["dim"], record["checksum"], before)


def _refines(before: ModelRecord, record: ModelRecord) -> bool:
    """Return whether a record is of the same model as the one before, and says no less."""
    if before["checksum"] is None:
        return before["name"] == record["name"]
    return before["checksum"] == record["checksum"]
