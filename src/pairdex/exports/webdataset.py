"""Export to WebDataset: tars in which members with one key form an example."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.exports.folders import ExportReport, Nodes, Written, export_folder
from pairdex.exports.training.sources import Left, live_ids
from pairdex.files import atomic, json_values
from pairdex.progress import StepProgress
from pairdex.store.pictures import picture_path
from pairdex.store.sharded import reopened
from pairdex.store.store import Store
from pairdex.work.reopened import Reopened

__all__ = ["DEFAULT_TAR_ROWS", "export_webdataset"]

DEFAULT_TAR_ROWS = 10_000  # the size of img2dataset's shards; a training job reads whole tars
_KEY_DIGITS = 9  # the key is the id padded with zeros, as in img2dataset


def export_webdataset(
    store: Store,
    target: Path,
    *,
    tar_rows: int = DEFAULT_TAR_ROWS,
    nodes: Nodes | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Write `target`/00000.tar and so on, at most `tar_rows` examples in each.

    The key of an example is its id. Its members are the stored picture with its own suffix, if it is on
    this machine; the caption as `.txt`; all columns as `.json`; and the vectors, float16 of shape (dim,),
    as `.img_emb.npy` and `.text_emb.npy`.

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy
        `target` exists, `tar_rows` is less than 1, a file cannot be written, or another process writes to
        `target`.
    """
    if tar_rows < 1:
        raise InvalidArgument(
            f"the number of rows per tar is {tar_rows}, expected at least 1", field="rows"
        )
    return export_folder(
        target,
        recipe={"format": "webdataset", "collection": store.checksum, "tar_rows": tar_rows},
        rows=[part.rows for part in store.manifest.parts],
        write=partial(_write_part, reopened(store), tar_rows),
        name=_tar_names,
        nodes=nodes,
        progress=progress,
    )


def _write_part(source: Reopened[Store], tar_rows: int, folder: Path, unit: int) -> Written:
    store, left, files = source.get(), Left(), []
    for number, ids in enumerate(_batches(store, unit, tar_rows, left)):
        name = f"part-{unit:06d}-{number:06d}.tar"
        with atomic.replacing(folder / name) as file:
            _write_tar(file, store, unit, ids)
        files.append((name, len(ids)))
    return Written(files, left.counts)


def _tar_names(units: list[Written]) -> list[str]:
    """Return names numbered over all parts, as readers of `{00000..00123}.tar` expect."""
    return [f"{number:05d}.tar" for number in range(sum(len(unit.files) for unit in units))]


def _batches(store: Store, unit: int, rows: int, left: Left) -> Iterator[NDArray[np.int64]]:
    waiting = np.empty(0, np.int64)
    for ids in live_ids(store, unit, left):
        waiting = np.concatenate([waiting, ids])
        while len(waiting) >= rows:
            yield waiting[:rows]
            waiting = waiting[rows:]
    if len(waiting):
        yield waiting


def _write_tar(file: BinaryIO, store: Store, unit: int, ids: NDArray[np.int64]) -> None:
    table = store.take(ids)
    vectors = {kind: store.vectors(kind)[ids] for kind in store.manifest.vectors}
    part = store.manifest.parts[unit]
    names = {"image": "img_emb", "text": "text_emb"}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for i, (row_id, row) in enumerate(zip(ids.tolist(), json_values.rows(table), strict=True)):
            key = f"{row_id:0{_KEY_DIGITS}d}"
            path = picture_path(part, row.get("image_path"))
            if path is not None:
                _add(tar, key + path.suffix.lower(), path.read_bytes())
            _add(tar, f"{key}.txt", (row.get("caption") or "").encode())
            _add(tar, f"{key}.json", _json({"id": row_id, **row}))
            for kind, rows in vectors.items():
                _add(tar, f"{key}.{names[kind]}.npy", _npy(rows[i]))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time, no owner: the same collection gives the same bytes
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace")


def _npy(vector: NDArray[np.float16]) -> bytes:
    file = io.BytesIO()
    np.save(file, vector)
    return file.getvalue()
