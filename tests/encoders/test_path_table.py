"""Tables of paths and captions, in every format, become parts as folders do."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import pairdex.encoders.path_table as module
from pairdex.encoders.encode import encode
from pairdex.encoders.open_source import open_source
from pairdex.errors import DamagedFile, Mismatch, MissingFile


@pytest.fixture
def folder(tmp_path):
    """A folder with the pictures 0.png to 11.png."""
    for i in range(12):
        levels = np.random.default_rng(i).integers(0, 256, (50, 60, 3), dtype=np.uint8)
        Image.fromarray(levels).save(tmp_path / f"{i}.png")
    return tmp_path


def write(path, columns):
    names, rows = list(columns), list(zip(*columns.values(), strict=True))
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
        return path
    mark = "\t" if path.suffix == ".tsv" else ","

    def quoted(value):
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in '",\n\t') else text

    lines = [mark.join(map(quoted, row)) for row in [names, *rows]]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv"])
def test_every_format_gives_the_same_samples_in_the_tables_order(folder, suffix):
    columns = {
        "caption": ['a "red", car', "line\none", "", "wörter\tx"],
        "image_path": ["3.png", "1.png", "2.png", "0.png"],
        "source": ["a", "b", None, "d"],
    }
    source = open_source(write(folder / f"list{suffix}", columns))
    samples = source.samples(0, len(source))
    assert [one.name for one in samples] == ["3.png", "1.png", "2.png", "0.png"]
    assert [one.caption for one in samples] == ['a "red", car', "line one", "", "wörter x"]
    assert [one.values for one in samples] == [("a",), ("b",), (None,), ("d",)]
    assert source.schema.names == ["source"]


def test_a_table_is_encoded_with_its_further_columns_and_types(folder):
    columns = {
        "path": ["1.png", "gone.png", None, str(folder / "2.png")],
        "text": ["one", "two", "three", "four"],
        "score": [0.5, 1.5, 2.5, 3.5],
        "width": [1, 1, 1, 1],
    }
    report = encode(write(folder / "list.parquet", columns), folder / "parts", model="demo")
    assert (report.rows, report.failed) == (2, 2)
    table = pq.read_table(folder / "parts/metadata/metadata_0.parquet")
    assert table["score"].to_pylist() == [0.5, 3.5]
    assert table["caption"].to_pylist() == ["one", "four"]
    assert table["width"].to_pylist() == [60, 60]
    failed = (folder / "parts/failed.tsv").read_text()
    assert "gone.png does not exist" in failed
    assert "row 2\tthe row names no picture" in failed


def test_values_of_csv_stay_texts_whatever_they_look_like(folder):
    columns = {"file": ["1.png", "2.png"], "year": ["0042", "1999"]}
    source = open_source(write(folder / "list.csv", columns))
    assert [one.values for one in source.samples(0, 2)] == [("0042",), ("1999",)]
    assert not source.has_captions


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("step", [1, 3, 4, 10, 50])
def test_any_range_is_the_same_slice_of_all_forwards_and_again(folder, monkeypatch, suffix, step):
    monkeypatch.setattr(module, "_BATCH_ROWS", 4)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 100)
    names = [f"{i}.png" for i in range(50)]
    source = open_source(write(folder / f"list{suffix}", {"path": names, "n": names}))
    ranges = [(i, min(i + step, 50)) for i in range(0, 50, step)]
    for start, stop in [*ranges, (0, 5), (40, 50), (7, 9), (7, 9)]:
        assert [one.name for one in source.samples(start, stop)] == names[start:stop]


def test_only_parts_with_a_changed_picture_are_encoded_again(folder):
    table = write(folder / "list.csv", {"path": [f"{i}.png" for i in range(12)]})
    encode(table, folder / "parts", model="demo", part_rows=4)
    vectors = sorted((folder / "parts/img_emb").glob("*.npy"))
    before = [path.stat().st_mtime_ns for path in vectors]
    Image.new("RGB", (60, 50), "red").save(folder / "5.png")
    encode(table, folder / "parts", model="demo", part_rows=4)
    after = [path.stat().st_mtime_ns for path in vectors]
    assert [old == now for old, now in zip(before, after, strict=True)] == [True, False, True]


def test_a_table_without_paths_names_its_columns(folder):
    table = write(folder / "list.csv", {"url": ["u"], "caption": ["c"]})
    with pytest.raises(
        Mismatch, match="has no column of paths or pictures: its columns are url, caption, expected"
    ):
        open_source(table)


def test_missing_empty_and_damaged_tables_are_named(folder):
    with pytest.raises(MissingFile, match=r"none\.csv does not exist"):
        open_source(folder / "none.csv")
    with pytest.raises(MissingFile, match="has no rows"):
        open_source(write(folder / "empty.parquet", {"path": pa.array([], pa.string())}))
    (folder / "bad.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DamagedFile, match=r"bad\.parquet cannot be read"):
        open_source(folder / "bad.parquet")
    (folder / "bad.csv").write_text("path,caption\na.png,x,y\n")
    with pytest.raises(DamagedFile, match=r"bad\.csv cannot be read"):
        open_source(folder / "bad.csv")
    (folder / "void.csv").write_text("")
    with pytest.raises(DamagedFile, match=r"void\.csv cannot be read"):
        open_source(folder / "void.csv")


def test_a_table_that_changes_while_it_is_read_is_refused(folder):
    table = write(folder / "list.csv", {"path": ["1.png", "2.png"]})
    source = open_source(table)
    write(table, {"path": ["1.png", "2.png", "3.png"]})
    with pytest.raises(Mismatch, match="has changed while it was read"):
        source.samples(0, 2)
