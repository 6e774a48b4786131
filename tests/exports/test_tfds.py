"""TFDS itself opens the export without TensorFlow, and reads the examples that were written."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pairdex.encoders.encode import encode
from pairdex.errors import InvalidArgument, MissingExtra
from pairdex.exports.tfds import export_tfds
from pairdex.exports.training.examples import examples

tfds = pytest.importorskip("tensorflow_datasets")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow_datasets")


def opened(folder):
    """The split `train` of a folder, as TFDS reads it without TensorFlow."""
    builder = tfds.builder_from_directory(folder)
    return builder, list(builder.as_data_source("train"))


def as_read(example):
    """An example as TFDS returns it: texts as bytes, float64 rounded to the stored float32."""
    texts = {n: v.encode() for n, v in example.items() if isinstance(v, str)}
    return example | texts | {"similarity": np.float64(np.float32(example["similarity"]))}


def same(one, other):
    return sorted(one) == sorted(other) and all(np.array_equal(one[n], other[n]) for n in one)


@pytest.fixture
def with_gaps(make_parts, build, tmp_path):
    """A collection with the gaps that released metadata has."""

    def columns(number, rows):
        tags = ["UNLIKELY", "UNSURE", "NSFW", None, "unlikely", "odd"]
        return {
            "url": [f"https://example.org/{row}" for row in range(rows)],
            "caption": [None if row == 1 else f"caption {row} \u00fc\n\t\0" for row in range(rows)],
            "NSFW": [tags[row % 6] for row in range(rows)],
            "similarity": [None if row % 3 == 0 else row / 7 for row in range(rows)],
            "LICENSE": ["?", None, "by-nc"] * (rows // 3),
            "original_width": pa.array([row + 1 for row in range(rows)], pa.int64()),
            "original_height": pa.array([None] + [2] * (rows - 1), pa.int64()),
        }

    build(make_parts(12, 9, dim=512, columns=columns), tmp_path / "gaps")
    return tmp_path / "gaps"


def test_tfds_reads_the_same_embedding_examples_as_pairdex(with_gaps, tmp_path):
    report = export_tfds(with_gaps, tmp_path / "out", config="embeddings", shard_rows=5)
    builder, rows = opened(tmp_path / "out")
    expected = [as_read(example) for example in examples(with_gaps, "embeddings")]
    assert len(rows) == report.rows == 21
    assert all(same(row, other) for row, other in zip(rows, expected, strict=True))
    assert builder.info.splits["train"].num_shards == 5
    assert builder.info.splits["train"].num_examples == 21


def test_the_features_are_those_of_laion400m(with_gaps, tmp_path):
    export_tfds(with_gaps, tmp_path / "out", config="embeddings")
    builder, _ = opened(tmp_path / "out")
    shown = {
        name: (type(f).__name__, f.shape, f.np_dtype) for name, f in builder.info.features.items()
    }
    assert shown == {
        "caption": ("Text", (), np.object_),
        "image_embedding": ("Tensor", (512,), np.float16),
        "license": ("Text", (), np.object_),
        "nsfw": ("ClassLabel", (), np.int64),
        "original_height": ("Scalar", (), np.int32),
        "original_width": ("Scalar", (), np.int32),
        "similarity": ("Scalar", (), np.float64),
        "text_embedding": ("Tensor", (512,), np.float16),
        "url": ("Text", (), np.object_),
    }
    assert builder.info.features["nsfw"].names == ["UNLIKELY", "UNSURE", "NSFW", "UNTAGGED"]
    assert (builder.name, str(builder.version)) == ("laion400m", "1.0.0")


@pytest.fixture
def own_pictures(tmp_path, build):
    """A collection of local pictures: RGB, grey, palette, WebP; one was deleted."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, (suffix, mode) in enumerate(
        [
            ("jpg", "RGB"),
            ("png", "RGB"),
            ("png", "L"),
            ("png", "P"),
            ("webp", "RGB"),
            ("png", "RGB"),
        ]
    ):
        Image.new(mode, (20 + i, 30), 40 * i).save(folder / f"{i}.{suffix}")
    encode(folder, tmp_path / "encoded", model="demo")
    build(tmp_path / "encoded", tmp_path / "own")
    (folder / "5.png").unlink()
    return tmp_path / "own"


def test_tfds_reads_every_picture_as_rgb_and_stored_ones_are_kept(own_pictures, tmp_path):
    report = export_tfds(own_pictures, tmp_path / "out", config="images", shard_rows=2)
    builder, rows = opened(tmp_path / "out")
    expected = [as_read(example) for example in examples(own_pictures, "images")]
    assert (report.rows, report.left_out) == (5, {"no local picture": 1})
    assert [row["image"].shape for row in rows] == [(30, 20 + i, 3) for i in range(5)]
    assert all(same(row, other) for row, other in zip(rows, expected, strict=True))
    assert builder.info.splits["train"].num_shards == 3
    raw = builder.as_data_source("train", decoders={"image": tfds.decode.SkipDecoding()})
    assert raw[0]["image"] == (tmp_path / "pictures/0.jpg").read_bytes()


def test_the_same_collection_gives_the_same_bytes(with_gaps, tmp_path, tree):
    for name in ("one", "two"):
        export_tfds(with_gaps, tmp_path / name, config="embeddings", shard_rows=8)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_collection_without_local_pictures_cannot_be_exported_as_images(collection, tmp_path):
    with pytest.raises(
        InvalidArgument, match=r"no examples of the configuration images .*no local"
    ):
        export_tfds(collection, tmp_path / "out", config="images")
    assert not (tmp_path / "out").exists()


def test_without_the_extra_the_error_says_how_to_install_it(with_gaps, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pairdex\[tfds\]'"):
        export_tfds(with_gaps, tmp_path / "out", config="embeddings")


def test_tensorflow_is_not_needed():
    assert "tensorflow" not in sys.modules
