"""Examples have exactly the features of TFDS's `laion400m`, even if the release lacks metadata."""

import io
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile
from pairdex.exports.training.examples import examples
from pairdex.exports.training.features import metadata_features

DTYPES = {
    "nsfw": np.int64,
    "original_height": np.int32,
    "original_width": np.int32,
    "similarity": np.float64,
}


def features(**columns):
    return list(metadata_features(pa.table(columns)))


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("UNLIKELY", 0),
        ("UNSURE", 1),
        ("NSFW", 2),
        ("UNTAGGED", 3),
        (None, 3),
        ("", 3),
        ("nsfw", 3),
        (" NSFW", 3),
        ("Unlikely", 3),
        ("something", 3),
    ],
)
def test_tags_are_compared_exactly_with_case_and_spaces(tag, label):
    assert features(nsfw=pa.array([tag], pa.string()))[0]["nsfw"] == label


def test_missing_values_are_those_of_tfds():
    (row,) = features(caption=pa.array([None], pa.string()))
    assert row == {
        "caption": "",
        "license": "",
        "nsfw": 3,
        "original_height": 0,
        "original_width": 0,
        "similarity": -1.0,
        "url": "",
    }


def test_a_question_mark_stays_the_licence_and_nan_is_a_missing_similarity():
    rows = features(license=["?", None], similarity=[float("nan"), 0.25])
    assert [row["license"] for row in rows] == ["?", ""]
    assert [row["similarity"] for row in rows] == [-1.0, 0.25]


def test_numbers_have_the_dtypes_of_the_features():
    (row,) = features(width=[3], height=[2], similarity=[0.5], nsfw=["NSFW"])
    assert {name: type(row[name]) for name in DTYPES} == DTYPES


def test_the_size_before_scaling_comes_first():
    (row,) = features(width=[256], height=[256], original_width=[800], original_height=[600])
    assert (row["original_width"], row["original_height"]) == (800, 600)


def test_a_width_that_is_not_a_number_is_refused():
    with pytest.raises(
        Mismatch, match="the column width is string, the feature original_width is int32"
    ):
        features(width=["wide"])


def test_embeddings_of_a_collection_are_its_rows_in_order(make_parts, build, tmp_path):
    build(make_parts(30, 10), tmp_path / "c")
    found = list(examples(tmp_path / "c", "embeddings"))
    parts = list(examples(tmp_path / "parts", "embeddings"))
    assert len(found) == len(parts) == 40
    images = np.concatenate([np.load(tmp_path / f"parts/img_emb_{i}.npy") for i in (0, 1)])
    for i, (one, other) in enumerate(zip(found, parts, strict=True)):
        assert one["image_embedding"].dtype == np.float16
        assert np.array_equal(one["image_embedding"], images[i])
        assert list(one) == list(other)
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert found[31]["caption"] == "caption 1 of part 1"
    assert (found[31]["original_width"], found[31]["nsfw"]) == (101, 1)


def test_parts_without_text_vectors_are_refused_for_embeddings(make_parts):
    with pytest.raises(Mismatch, match="has no text vectors"):
        next(examples(make_parts(3, text=False), "embeddings"))


def test_an_unknown_configuration_is_refused(collection):
    with pytest.raises(InvalidArgument, match="'pictures', expected images or embeddings"):
        next(examples(collection, "pictures"))


def picture(colour, kind="JPEG", mode="RGB", size=(6, 4)):
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind)
    return file.getvalue()


def write_shard(folder, number, members, table):
    """A tar of (name, content) with its table."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / f"{number:05d}.tar", "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    pq.write_table(pa.table(table), folder / f"{number:05d}.parquet")


def test_pictures_of_shards_are_matched_to_rows_by_old_and_new_keys(tmp_path):
    new = [
        ("000020001.jpg", picture("red")),
        ("000020001.txt", b"x"),
        ("000020000.jpg", picture("blue")),
    ]
    old = [("000000001.jpg", picture("red")), ("000000000.png", picture("blue", "PNG"))]
    for number, members in ((1, old), (2, new)):
        write_shard(
            tmp_path / "shards", number, members, {"caption": [f"{number} blue", f"{number} red"]}
        )
    found = list(examples(tmp_path / "shards"))
    assert [row["caption"] for row in found] == ["1 red", "1 blue", "2 red", "2 blue"]
    assert [tuple(row["image"][0, 0].argsort()[-1:]) for row in found] == [(0,), (2,), (0,), (2,)]
    assert {row["image"].shape for row in found} == {(4, 6, 3)}


def test_an_existing_key_column_decides(tmp_path):
    table = {"key": ["000000007", "000000003"], "caption": ["seven", "three"]}
    members = [("000000003.jpg", picture("red")), ("000000007.jpg", picture("red"))]
    write_shard(tmp_path / "shards", 0, members, table)
    assert [row["caption"] for row in examples(tmp_path / "shards")] == ["three", "seven"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_every_picture_is_rgb(tmp_path, mode):
    kind = "JPEG" if mode in ("L", "CMYK") else "PNG"
    write_shard(tmp_path / "s", 0, [("0.jpg", picture(0, kind, mode))], {"caption": ["x"]})
    (row,) = examples(tmp_path / "s")
    assert (row["image"].shape, row["image"].dtype) == ((4, 6, 3), np.uint8)


def test_pictures_without_a_row_and_rows_without_a_picture_give_no_example(tmp_path):
    members = [("5.jpg", picture("red")), ("cover.jpg", picture("red")), ("1.jpg", picture("red"))]
    write_shard(tmp_path / "s", 0, members, {"caption": ["a", "b"]})
    assert [row["caption"] for row in examples(tmp_path / "s")] == ["b"]


def test_a_damaged_picture_is_named_by_its_key(tmp_path):
    write_shard(tmp_path / "s", 3, [("0.jpg", picture("red")[:80])], {"caption": ["a"]})
    with pytest.raises(DamagedFile, match="the picture of example 3_0: "):
        list(examples(tmp_path / "s"))


def test_a_truncated_tar_and_a_missing_table_are_errors(tmp_path):
    write_shard(tmp_path / "s", 0, [("0.jpg", picture("red"))], {"caption": ["a"]})
    (tmp_path / "s/00000.parquet").rename(tmp_path / "00000.parquet")
    with pytest.raises(MissingFile, match=r"00000\.tar has no 00000\.parquet beside it"):
        list(examples(tmp_path / "s"))
    (tmp_path / "00000.parquet").rename(tmp_path / "s/00000.parquet")
    tar = tmp_path / "s/00000.tar"
    tar.write_bytes(tar.read_bytes()[:700])
    with pytest.raises(DamagedFile, match=r"00000\.tar cannot be read"):
        list(examples(tmp_path / "s"))


def test_an_empty_folder_is_an_error_that_says_what_was_expected(tmp_path):
    with pytest.raises(
        MissingFile, match=r"holds no shards; expected 00000\.tar with 00000\.parquet"
    ):
        next(examples(tmp_path))
