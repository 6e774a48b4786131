"""Parquet tables that hold the pictures themselves."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pairdex.encoders.encode import encode
from pairdex.errors import Mismatch


def picture(seed=0, kind="PNG"):
    levels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    made = io.BytesIO()
    Image.fromarray(levels).save(made, kind)
    return made.getvalue()


def write(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def metadata(parts):
    return pq.read_table(parts / "metadata" / "metadata_0.parquet")


def test_the_image_column_of_hugging_face_is_read(tmp_path):
    images = [{"bytes": picture(i), "path": f"{i}.png"} for i in range(2)]
    images.append({"bytes": b"no picture", "path": None})
    write(tmp_path / "hf/train.parquet", {"image": images, "caption": ["one", "two", "three"]})
    report = encode(tmp_path / "hf/train.parquet", tmp_path / "parts", model="demo")
    assert (report.rows, report.failed) == (2, 1)
    table = metadata(tmp_path / "parts")
    assert table["image_path"].to_pylist() == ["train.parquet/0.png", "train.parquet/1.png"]
    assert table["caption"].to_pylist() == ["one", "two"]
    [line] = (tmp_path / "parts/failed.tsv").read_text().splitlines()[1:]
    assert line.startswith("train.parquet/2\tthe picture is not a picture of a known format")
    assert len(line) < 200


def test_a_folder_of_img2datasets_parquet_is_read_and_goes_on(tmp_path):
    for number, first in ((0, 0), (1, 3)):
        rows = range(first, first + 3)
        columns = {
            "key": [f"{i:09d}" for i in rows],
            "jpg": [picture(i, "JPEG") for i in rows],
            "caption": [[f"caption {i}", "more"] for i in rows],
        }
        write(tmp_path / f"i2d/{number:05d}.parquet", columns)
    first = encode(tmp_path / "i2d", tmp_path / "parts", model="demo", part_rows=4)
    assert (first.rows, first.parts) == (6, 2)
    table = metadata(tmp_path / "parts")
    assert table["image_path"][3].as_py() == "00001.parquet/0"
    assert table["caption"][3].as_py() == "caption 3"
    assert table["source_caption"][3].as_py() == ["caption 3", "more"]
    stamp = (tmp_path / "parts/img_emb/img_emb_0.npy").stat().st_ino
    assert encode(tmp_path / "i2d", tmp_path / "parts", model="demo", part_rows=4).rows == 6
    assert (tmp_path / "parts/img_emb/img_emb_0.npy").stat().st_ino == stamp


def test_several_tables_are_named_by_a_pattern(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.parquet", {"jpg": [picture(number, "JPEG")]})
    report = encode(f"{tmp_path}/{{0..1}}.parquet", tmp_path / "parts", model="demo")
    assert report.rows == 2


def test_tables_whose_columns_disagree_are_refused(tmp_path):
    write(tmp_path / "t/a.parquet", {"jpg": [picture()], "x": [1]})
    write(tmp_path / "t/b.parquet", {"jpg": [picture()], "x": ["one"]})
    with pytest.raises(Mismatch, match="do not agree"):
        encode(tmp_path / "t", tmp_path / "parts", model="demo")


def test_lines_of_json_name_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "list.jsonl").write_text('{"file_name": "a.png", "text": "noise", "year": 1999}\n')
    encode(tmp_path / "list.jsonl", tmp_path / "parts", model="demo")
    [row] = metadata(tmp_path / "parts").to_pylist()
    assert (row["image_path"], row["caption"], row["year"]) == ("a.png", "noise", 1999)
