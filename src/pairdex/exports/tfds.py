"""Export to TFDS, without TensorFlow: a folder for `tfds.builder_from_directory` with `laion400m` features.

TFDS describes and encodes the features. Examples are stored as ArrayRecord files, which can be read in any
order, also without TensorFlow.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pairdex.errors import InvalidArgument, Mismatch, MissingExtra, WriteFailed
from pairdex.exports.folders import ExportReport, Nodes, Written, export_folder
from pairdex.exports.names import Config
from pairdex.exports.training.examples import decoded
from pairdex.exports.training.features import NSFW_NAMES, VERSION
from pairdex.exports.training.sources import Left, Pair, Source, open_source
from pairdex.files import atomic
from pairdex.files.boundary import reason_of
from pairdex.progress import StepProgress
from pairdex.work.reopened import Reopened

__all__ = ["DEFAULT_SHARD_ROWS", "export_tfds"]

DEFAULT_SHARD_ROWS: dict[Config, int] = {"embeddings": 50_000, "images": 5_000}  # 100 to 250 MB
_NAME, _SPLIT = "laion400m", "train"
_DESCRIPTION = "Image-text pairs with the features of LAION-400M."
_SUFFIX = "array_record"


def export_tfds(
    source: Path,
    target: Path,
    *,
    config: Config = "images",
    shard_rows: int | None = None,
    nodes: Nodes | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Write the examples of a collection, parts or shards as the split `train` of a TFDS dataset.

    Parameters
    ----------
    source
        See `pairdex.examples`.
    config
        `images` stores pictures (JPEG and PNG unchanged), `embeddings` image and text vectors.
    shard_rows
        The maximum number of examples per file. Default: 50,000 embeddings or 5,000 images.
    nodes
        Where parts are written; None: here.

    Raises
    ------
    MissingExtra
        TFDS is not installed.
    InvalidArgument, Mismatch, WriteFailed, CollectionBusy
        `source` has no such examples, `target` exists, a file cannot be written, or another process writes
        to `target`.
    """
    opened = open_source(source, config)
    rows = DEFAULT_SHARD_ROWS[config] if shard_rows is None else shard_rows
    if rows < 1:
        raise InvalidArgument(
            f"the number of rows per file is {rows}, expected at least 1", field="rows"
        )
    dataset = _Dataset(config, opened.dim)
    again = Reopened(_open_same, (source.resolve(), config, opened.identity), (opened, dataset))

    return export_folder(
        target,
        recipe={"format": "tfds", "source": opened.identity, "config": config, "rows": rows},
        rows=opened.rows(),
        write=partial(_write_unit, again, rows),
        name=dataset.names,
        describe=dataset.describe,
        nodes=nodes,
        progress=progress,
    )


def _open_same(source: Path, config: Config, identity: str) -> tuple[Source, _Dataset]:
    opened = open_source(source, config)
    if opened.identity != identity:
        raise Mismatch(f"rows of {source} have changed meanwhile: run the same command again")
    return opened, _Dataset(config, opened.dim)


def _write_unit(
    source: Reopened[tuple[Source, _Dataset]], rows: int, folder: Path, unit: int
) -> Written:
    opened, dataset = source.get()
    left, files = Left(), []
    pairs = opened.pairs(unit, left)
    for number in range(1 << 30):
        some = list(islice(pairs, rows))
        if not some:
            break
        name = f"unit-{unit:06d}-{number:06d}"
        dataset.write(folder / name, some)
        files.append((name, len(some)))
    return Written(files, left.counts)


class _Dataset:
    """A TFDS dataset: its features, the encoding of examples, and the files that describe it."""

    def __init__(self, config: Config, dim: int | None) -> None:
        self._tfds, self._array_record = _libraries()
        self._config = config
        self._features = self._describe_features(config, dim)
        serializer = self._tfds.core.example_serializer.ExampleSerializer
        self._serializer = serializer(self._features.get_serialized_info())

    def write(self, path: Path, pairs: list[Pair]) -> None:
        """Write one file of examples."""
        with atomic.replacing(path) as file:  # the library reopens it by name
            with _explained(path):
                writer = self._array_record.ArrayRecordWriter(file.name, "group_size:1")
            try:
                for pair in pairs:
                    record = self._encoded(pair)
                    with _explained(path):
                        writer.write(record)
            finally:
                with _explained(path):
                    writer.close()

    def names(self, units: list[Written]) -> list[str]:
        """Return the file names that TFDS expects."""
        count = sum(len(unit.files) for unit in units)
        stem = f"{_NAME}-{_SPLIT}.{_SUFFIX}"
        return [f"{stem}-{number:05d}-of-{count:05d}" for number in range(count)]

    def describe(self, folder: Path, units: list[Written]) -> None:
        """Write `features.json`, the class names and `dataset_info.json`."""
        lengths = [rows for unit in units for _, rows in unit.files]
        if not lengths:
            reasons = {reason for unit in units for reason in unit.left_out} or {"no rows"}
            raise InvalidArgument(
                f"the source has no examples of the configuration {self._config} "
                f"({', '.join(sorted(reasons))})",
                field="config",
            )
        core = self._tfds.core
        template = core.ShardedFileTemplate(
            dataset_name=_NAME, data_dir=folder, split=_SPLIT, filetype_suffix=_SUFFIX
        )
        split = core.SplitInfo(
            name=_SPLIT,
            shard_lengths=lengths,
            num_bytes=sum((folder / name).stat().st_size for name in self.names(units)),
            filename_template=template,
        )
        self._tfds.folder_dataset.write_metadata(
            data_dir=folder,
            features=self._features,
            split_infos=[split],
            version=VERSION,
            check_data=False,
            description=_DESCRIPTION,
        )

    def _describe_features(self, config: Config, dim: int | None) -> Any:  # noqa: ANN401 - TFDS's own
        features = self._tfds.features
        described = {
            "caption": features.Text(),
            "license": features.Text(),
            "nsfw": features.ClassLabel(names=NSFW_NAMES),
            "original_height": features.Scalar(np.int32),
            "original_width": features.Scalar(np.int32),
            "similarity": features.Scalar(np.float64),
            "url": features.Text(),
        }
        if config == "images":
            described["image"] = features.Image(shape=(None, None, 3))
        else:
            for name in ("image_embedding", "text_embedding"):
                described[name] = features.Tensor(shape=(dim,), dtype=np.float16)
        return features.FeaturesDict(described)

    def _encoded(self, pair: Pair) -> bytes:
        example = pair.features
        if pair.picture is not None:
            example = example | {"image": _as_rgb(pair)}
        proto = self._serializer.get_tf_example(self._features.encode_example(example))
        # Else the order of the features is that of a hash, which differs between processes.
        record: bytes = proto.SerializeToString(deterministic=True)
        return record


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the library raises where it cannot write into one line."""
    try:
        yield
    except RuntimeError as error:
        raise WriteFailed(
            f"cannot write {path}: {reason_of(error)}; free space and run the same command again"
        ) from error


def _as_rgb(pair: Pair) -> bytes:
    """Return the stored picture if every reader decodes it as RGB; otherwise convert it to RGB PNG."""
    assert pair.picture is not None, "the configuration is images"
    picture = decoded(pair)
    if picture.format in ("JPEG", "PNG") and picture.mode == "RGB":
        return pair.picture
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    return file.getvalue()


def _libraries() -> tuple[Any, Any]:
    try:
        import tensorflow_datasets  # noqa: PLC0415 - an extra
        from array_record.python import array_record_module  # noqa: PLC0415
        from tensorflow_datasets.core import example_serializer  # noqa: F401, PLC0415 - loads it
    except ImportError as error:
        raise MissingExtra(
            f"exporting to TFDS needs {error.name or error}, which is not installed; run: "
            "pip install 'pairdex[tfds]'"
        ) from error
    return tensorflow_datasets, array_record_module
