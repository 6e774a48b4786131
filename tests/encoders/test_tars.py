"""WebDataset tars and img2dataset's output, old and new, whole and damaged."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pairdex.encoders.encode import encode
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.model import load_model
from pairdex.encoders.open_source import open_source
from pairdex.errors import InvalidArgument, Mismatch, MissingFile


def picture(seed, size=(60, 48)):
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def samples_of(place):
    source = open_source(place)
    return source, source.samples(0, len(source))


def encoded(place, parts, **options):
    report = encode(place, parts, model="demo", **options)
    tables = [pq.read_table(path) for path in sorted((parts / "metadata").glob("*.parquet"))]
    return report, pa.concat_tables(tables)


def failures(parts):
    lines = (parts / "failed.tsv").read_text().splitlines()[1:]
    return dict(line.split("\t") for line in lines)


def test_members_of_one_key_are_a_sample_with_caption_and_values(tmp_path):
    write_tar(
        tmp_path / "set/a.tar",
        [
            ("x/001.png", picture(1)),
            ("x/001.txt", "a\ncat "),
            ("x/001.json", json.dumps({"url": "u1", "caption": "other", "n": 1, "width": 9})),
            ("x/002.json", json.dumps({"n": 2.5, "caption": " a  dog", "tags": ["x", 1]})),
            ("x/002.cls", "7"),
            ("x/002.png", picture(2)),
            ("x/003.png", picture(3)),
        ],
    )
    report, table = encoded(tmp_path / "set", tmp_path / "parts")
    assert (report.rows, report.failed, report.without_caption) == (3, 0, 1)
    assert table["image_path"].to_pylist() == [f"a.tar/x/00{i}.png" for i in (1, 2, 3)]
    assert table["caption"].to_pylist() == ["a cat", "a dog", ""]
    assert table["width"].to_pylist() == [60] * 3
    assert table["url"].to_pylist() == ["u1", None, None]
    assert table["n"].to_pylist() == [1.0, 2.5, None]
    assert table["tags"].to_pylist() == [None, '["x", 1]', None]


def test_the_vectors_are_those_of_the_pictures_in_the_tar(tmp_path):
    write_tar(tmp_path / "a.tar", [(f"{i}.png", picture(i)) for i in range(5)])
    encode(tmp_path / "a.tar", tmp_path / "parts", model="demo")
    opened = [Image.open(io.BytesIO(picture(i))) for i in range(5)]
    expected = Encoder(load_model("demo")).encode_images(opened)
    assert np.allclose(np.load(tmp_path / "parts/img_emb/img_emb_0.npy"), expected, atol=1e-3)


def test_tars_come_in_natural_order_and_parts_go_across_them(tmp_path):
    for number in (10, 2, 1):
        members = [(f"{i}.png", picture(10 * number + i)) for i in range(5)]
        write_tar(tmp_path / f"set/s{number}.tar", members)
    report, table = encoded(tmp_path / "set", tmp_path / "parts", part_rows=7)
    assert (report.rows, report.parts) == (15, 3)
    names = [f"s{n}.tar/{i}.png" for n in (1, 2, 10) for i in range(5)]
    assert table["image_path"].to_pylist() == names


@pytest.mark.parametrize("part_rows", [1, 4, 5, 6, 100])
def test_any_range_of_samples_is_the_same_slice_of_all(tmp_path, part_rows):
    for shard in range(4):
        write_tar(tmp_path / f"{shard}.tar", [(f"{i}.png", b"") for i in range(5 if shard else 0)])
    source, all_samples = samples_of(tmp_path)
    pieces = [source.samples(i, min(i + part_rows, 15)) for i in range(0, 15, part_rows)]
    assert [one for piece in pieces for one in piece] == list(all_samples)


def test_only_parts_of_a_changed_tar_are_encoded_again(tmp_path):
    for shard in range(3):
        write_tar(tmp_path / f"set/{shard}.tar", [(f"{i}.png", picture(i)) for i in range(4)])
    parts = tmp_path / "parts"
    encode(tmp_path / "set", parts, model="demo", part_rows=4)
    before = {path: path.stat().st_mtime_ns for path in parts.rglob("*.npy")}
    write_tar(tmp_path / "set/1.tar", [(f"{i}.png", picture(i + 50)) for i in range(4)])
    encode(tmp_path / "set", parts, model="demo", part_rows=4)
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"img_emb_1.npy"}


def test_what_is_wrong_with_a_member_is_counted_and_listed(tmp_path):
    write_tar(
        tmp_path / "a.tar",
        [
            ("1.png", picture(1)),
            ("2.png", picture(2)[:300]),
            ("3.txt", "no picture"),
            ("4.png", picture(4)),
            ("4.json", "{"),
            ("5.png", b""),
            ("6.png", picture(6)),
            ("6.txt", b"\xff"),
        ],
    )
    report, table = encoded(tmp_path / "a.tar", tmp_path / "parts")
    assert (report.rows, report.failed, report.noted) == (3, 3, 2)
    assert table["image_path"].to_pylist() == ["a.tar/1.png", "a.tar/4.png", "a.tar/6.png"]
    reasons = failures(tmp_path / "parts")
    assert "cannot be decoded" in reasons["a.tar/2.png"]
    assert reasons["a.tar/3"] == "the sample has no picture"
    assert "not a picture of a known format" in reasons["a.tar/5.png"]
    assert (tmp_path / "parts/notes.tsv").read_text().splitlines()[1:] == [
        "a.tar/4.png\t4.json is not a JSON object",
        "a.tar/6.png\t6.txt was read as cp1252",
    ]


@pytest.mark.parametrize(
    ("cut", "whole"), [(100, 0), (1_200, 0), (3_512, 1), (3_600, 1), (5_000, 1), (9_000, 2)]
)
def test_a_tar_that_is_cut_off_gives_what_it_has_and_a_reason(tmp_path, cut, whole):
    path = write_tar(tmp_path / "a.tar", [(f"{i}.bmp", bytes(3000)) for i in range(4)])
    path.write_bytes(path.read_bytes()[:cut])
    _, samples = samples_of(path)
    assert len([one for one in samples if one.place is not None]) == whole
    assert "fetch it again" in samples[-1].reason


def test_a_tar_with_a_damaged_header_in_the_middle_is_no_end_of_the_others(tmp_path):
    for shard in range(2):
        write_tar(tmp_path / f"set/{shard}.tar", [(f"{i}.png", picture(i)) for i in range(4)])
    data = bytearray((tmp_path / "set/0.tar").read_bytes())
    second = 512 + -(-len(picture(0)) // 512) * 512
    data[second : second + 512] = b"\xaa" * 512
    (tmp_path / "set/0.tar").write_bytes(data)
    report = encode(tmp_path / "set", tmp_path / "parts", model="demo")
    assert (report.rows, report.failed) == (5, 1)
    assert "is not a complete tar" in failures(tmp_path / "parts")["0.tar"]


def test_a_compressed_tar_or_no_tar_at_all_is_counted(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("1.png"))
    _, [sample] = samples_of(tmp_path / "a.tar")
    assert sample.name == "a.tar"
    assert "is not a complete tar" in sample.reason


def shard(folder, number, *, keys, rows=12, failed=(3, 7), extra=None, members=None):
    """A shard as img2dataset writes it, with keys as one of its versions does."""
    table = {
        "url": [f"https://example.org/{number}/{i}" for i in range(rows)],
        "caption": [f"caption {number} {i}" for i in range(rows)],
        "similarity": [0.3 + i / 100 for i in range(rows)],
        "NSFW": ["UNLIKELY"] * rows,
        "status": ["failed_to_download" if i in failed else "success" for i in range(rows)],
        "error_message": ["HTTP Error 404" if i in failed else None for i in range(rows)],
        "width": [60] * rows,
        "height": [48] * rows,
    } | (extra or {})
    names = [keys(number, i) for i in range(rows)]
    if keys is not local:
        table["key"] = names
    stem = f"{number:05d}"
    content = [
        (f"{names[i]}.png", picture(100 * number + i)) for i in range(rows) if i not in failed
    ]
    write_tar(folder / f"{stem}.tar", content if members is None else members)
    pq.write_table(pa.table(table), folder / f"{stem}.parquet")


def new(number, row):
    return f"{number:05d}{row:04d}"


def local(number, row):
    return f"{row:09d}"


@pytest.mark.parametrize("keys", [new, local], ids=["new", "shard-local without a column"])
def test_rows_of_the_table_find_their_picture_by_key(tmp_path, keys):
    for number in (0, 1, 7):
        shard(tmp_path / "set", number, keys=keys)
    report, table = encoded(tmp_path / "set", tmp_path / "parts")
    assert (report.rows, report.failed) == (30, 6)
    rows = [(n, i) for n in (0, 1, 7) for i in range(12) if i not in (3, 7)]
    assert table["caption"].to_pylist() == [f"caption {n} {i}" for n, i in rows]
    assert table["url"].to_pylist() == [f"https://example.org/{n}/{i}" for n, i in rows]
    opened = [Image.open(io.BytesIO(picture(100 * n + i))) for n, i in rows]
    expected = Encoder(load_model("demo")).encode_images(opened)
    assert np.allclose(np.load(tmp_path / "parts/img_emb/img_emb_0.npy"), expected, atol=1e-3)
    assert failures(tmp_path / "parts")["00007.tar/3"] == "failed_to_download: HTTP Error 404"


def test_shard_local_keys_beyond_the_shards_digits_are_not_mistaken_for_new_ones(tmp_path):
    rows = 10_005
    members = [(f"{i:09d}.png", b"") for i in (0, 5, 10_000)]
    write_tar(tmp_path / "00001.tar", members)
    pq.write_table(pa.table({"caption": [str(i) for i in range(rows)]}), tmp_path / "00001.parquet")
    _, samples = samples_of(tmp_path)
    assert [i for i, one in enumerate(samples) if one.place is not None] == [0, 5, 10_000]


def test_new_keys_without_a_column_are_read_behind_the_shards_number(tmp_path):
    write_tar(tmp_path / "00001.tar", [(f"{new(1, i)}.png", b"") for i in (0, 5)])
    pq.write_table(pa.table({"caption": [str(i) for i in range(10)]}), tmp_path / "00001.parquet")
    _, samples = samples_of(tmp_path)
    assert [i for i, one in enumerate(samples) if one.place is not None] == [0, 5]


def test_columns_of_tables_keep_their_types_and_our_similarity_its_name(tmp_path):
    shard(tmp_path / "set", 0, keys=new)
    shard(
        tmp_path / "set", 1, keys=new, extra={"NSFW": pa.array(["UNSURE"] * 12).dictionary_encode()}
    )
    _, table = encoded(tmp_path / "set", tmp_path / "parts")
    assert table.schema.field("source_similarity").type == pa.float64()
    assert table["source_similarity"][0].as_py() == 0.3
    assert table.schema.field("NSFW").type == pa.string()
    assert table["similarity"][0].as_py() != 0.3
    assert table["error_message"].null_count == len(table)


def test_a_tar_without_its_table_a_damaged_table_and_strangers_are_counted(tmp_path):
    shard(tmp_path / "set", 0, keys=new)
    shard(tmp_path / "set", 1, keys=new)
    (tmp_path / "set/00001.parquet").unlink()
    shard(tmp_path / "set", 2, keys=new)
    (tmp_path / "set/00002.parquet").write_bytes(b"PAR1")
    missing = [(f"{new(3, i)}.png", picture(i)) for i in (0, 99)]
    shard(tmp_path / "set", 3, keys=new, rows=2, failed=(), members=missing)
    report, _ = encoded(tmp_path / "set", tmp_path / "parts")
    reasons = failures(tmp_path / "parts")
    assert (report.rows, report.failed) == (11, 2 + 1 + 1 + 2)
    assert "00001.parquet is missing beside it" in reasons["00001.tar"]
    assert "cannot be read" in reasons["00002.tar"]
    assert "the tar has no picture for it" in reasons["00003.tar/1"]
    assert "the table has no row for it" in reasons["00003.tar/000030099.png"]


def test_tables_that_do_not_agree_in_type_are_refused(tmp_path):
    shard(tmp_path, 0, keys=new)
    shard(tmp_path, 1, keys=new, extra={"similarity": ["high"] * 12})
    with pytest.raises(Mismatch, match="the shards' tables do not agree"):
        open_source(tmp_path)


def test_pictures_in_folders_with_json_beside_them_are_read_as_img2dataset_writes_them(tmp_path):
    folder = tmp_path / "set/00000"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"{i:09d}.png").write_bytes(picture(i))
        (folder / f"{i:09d}.txt").write_text(f"caption {i}")
        said = {"url": f"u{i}", "caption": "x", "width": 1, "key": f"{i:09d}", "exif": "{}"}
        (folder / f"{i:09d}.json").write_text(json.dumps(said))
    _, table = encoded(tmp_path / "set", tmp_path / "parts")
    assert table["caption"].to_pylist() == ["caption 0", "caption 1", "caption 2"]
    assert table["url"].to_pylist() == ["u0", "u1", "u2"]
    assert table.column_names[10:] == ["url", "key", "exif"]


def test_a_folder_of_tars_and_pictures_is_refused_and_so_is_another_kind_of_file(tmp_path):
    write_tar(tmp_path / "set/a.tar", [("1.png", picture(1))])
    (tmp_path / "set/b.png").write_bytes(picture(2))
    with pytest.raises(InvalidArgument, match=r"holds tars \(a.tar\) and pictures \(b.png\)"):
        open_source(tmp_path / "set")
    with pytest.raises(InvalidArgument, match="is neither a folder nor a"):
        open_source(tmp_path / "set/b.png")
    with pytest.raises(MissingFile, match="is not a folder; expected pictures: a folder, tars or"):
        open_source(tmp_path / "none")
    write_tar(tmp_path / "empty/a.tar", [])
    with pytest.raises(MissingFile, match="its tars are empty"):
        open_source(tmp_path / "empty")


def test_another_tar_of_the_same_folder_is_not_mixed_into_the_parts(tmp_path):
    for name in "ab":
        write_tar(tmp_path / f"{name}.tar", [("1.png", picture(1))])
    encode(tmp_path / "a.tar", tmp_path / "parts", model="demo")
    with pytest.raises(
        Mismatch, match=r"holds parts of the pictures in .*/a.tar, asked for .*/b.tar"
    ):
        encode(tmp_path / "b.tar", tmp_path / "parts", model="demo")


def test_dots_in_names_are_part_of_the_key_where_that_gives_pictures(tmp_path):
    members = [("22.05.png", picture(1)), ("22.05.txt", "one"), ("22.06.png", picture(2))]
    members += [("22.06.txt", "two"), ("3.png", picture(3)), ("3.seg.png", picture(4))]
    write_tar(tmp_path / "a.tar", members)
    report, table = encoded(tmp_path / "a.tar", tmp_path / "parts")
    assert report.failed == 0
    assert table["image_path"].to_pylist() == ["a.tar/22.05.png", "a.tar/22.06.png", "a.tar/3.png"]
    assert table["caption"].to_pylist() == ["one", "two", ""]


def test_suffixes_that_are_not_known_are_named_with_those_that_are(tmp_path):
    write_tar(tmp_path / "a.tar", [("a.img", picture(1)), ("a.cap", "one"), ("b.png", picture(2))])
    encoded(tmp_path / "a.tar", tmp_path / "parts")
    reason = failures(tmp_path / "parts")["a.tar/a"]
    assert reason.startswith("the sample has no picture: its members end in .img, .cap; known are")
    assert ".jpg" in reason


def test_all_pictures_may_come_before_all_captions(tmp_path):
    members = [(f"{i}.png", picture(i)) for i in range(3)] + [
        (f"{i}.txt", f"c{i}") for i in range(3)
    ]
    write_tar(tmp_path / "a.tar", members)
    _, table = encoded(tmp_path / "a.tar", tmp_path / "parts")
    assert table["caption"].to_pylist() == ["c0", "c1", "c2"]


def test_what_macos_writes_beside_files_is_passed_over(tmp_path):
    double = b"\0\5\x16\7" + bytes(100)
    members = [("./._a.png", double), ("./a.png", picture(1)), ("./._a.txt", double)]
    members += [("./a.txt", "mac"), ("__MACOSX/b.png", double)]
    write_tar(tmp_path / "a.tar", members)
    report, table = encoded(tmp_path / "a.tar", tmp_path / "parts")
    assert (report.rows, report.failed) == (1, 0)
    assert table["caption"].to_pylist() == ["mac"]


def test_several_tars_are_named_by_braces(tmp_path):
    for i in range(3):
        write_tar(tmp_path / f"{i:03d}.tar", [(f"{i}.png", picture(i))])
    source = open_source(str(tmp_path / "{000..001}.tar"))
    assert [one.name for one in source.samples(0, 2)] == ["000.tar/0.png", "001.tar/1.png"]


def test_a_header_that_claims_a_name_of_a_terabyte_is_named(tmp_path):
    from pairdex.encoders.tar_members import tar_samples

    header = bytearray(tarfile.TarInfo("0.txt").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80\0\0\0\0\0\x01\0\0\0\0\0"
    header[156:157] = tarfile.GNUTYPE_LONGNAME
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    [sample] = tar_samples(tmp_path / "a.tar")
    assert sample.problem == (
        f"{tmp_path / 'a.tar'} is not a complete tar: a header claims more than there is; "
        "fetch it again"
    )
