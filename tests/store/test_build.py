"""Building: which rows a collection gets, under which ids, and that the same parts give the same bytes."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.derived.verify import verify
from pairdex.errors import (
    CollectionBusy,
    DamagedFile,
    InvalidArgument,
    InvalidPredicate,
    Mismatch,
    MissingFile,
    WriteFailed,
)
from pairdex.files import lock
from pairdex.store import staging, write_part
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Store

MODEL = {"name": "some", "dim": 8, "checksum": "0123456789abcdef" * 2, "folder": None}


def rows_of(collection):
    store = Store(collection)
    return store.take(np.arange(store.rows))


def origins(collection):
    table = rows_of(collection)
    return list(zip(table["part"].to_pylist(), table["row"].to_pylist(), strict=True))


def test_ids_run_over_the_parts_in_numeric_order(make_parts, build, tmp_path):
    source = make_parts(3, 1, 2, numbers=[10, 9, 2])
    report = build(source, tmp_path / "c", skip_incomplete=True)
    assert (report.rows, report.rows_read, report.parts, report.dim, report.added) == (
        6,
        6,
        3,
        8,
        6,
    )
    assert origins(tmp_path / "c") == [(2, 0), (2, 1), (9, 0), (10, 0), (10, 1), (10, 2)]
    captions = rows_of(tmp_path / "c")["caption"].to_pylist()
    assert captions[2:4] == ["caption 0 of part 9", "caption 0 of part 10"]


def test_vectors_are_the_released_ones_bit_for_bit(make_parts, build, tmp_path):
    source = make_parts(5, 3)
    build(source, tmp_path / "c")
    for kind, name in (("image", "img_emb"), ("text", "text_emb")):
        released = np.concatenate([np.load(source / f"{name}_{part}.npy") for part in (0, 1)])
        stored = Store(tmp_path / "c").vectors(kind)[:]
        np.testing.assert_array_equal(stored.view(np.uint16), released.view(np.uint16))


@pytest.mark.parametrize("layout", ["flat", "laion400m", "laion2b", "clip-retrieval", "datacomp"])
def test_every_layout_gives_the_same_rows(make_parts, build, tmp_path, layout):
    build(make_parts(5, 3, layout=layout), tmp_path / "c")
    build(make_parts(5, 3, folder="flat"), tmp_path / "flat collection")
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "flat collection")
    for kind in ("image", "text"):
        found, expected = (
            Store(tmp_path / name).vectors(kind)[:] for name in ("c", "flat collection")
        )
        np.testing.assert_array_equal(found, expected)


def test_parts_without_text_vectors_make_a_collection_without(make_parts, build, tmp_path):
    build(make_parts(5, layout="laion2b", text=False), tmp_path / "c")
    assert read_manifest(tmp_path / "c").vectors == ["image"]
    assert not (tmp_path / "c" / "text").exists()


def test_the_files_are_those_of_the_format(collection):
    names = sorted(str(path.relative_to(collection)) for path in collection.rglob("*"))
    assert names == [
        "collection.json",
        "image",
        "image/00000.npy",
        "image/00001.npy",
        "image/00002.npy",
        "metadata",
        "metadata/00000.arrow",
        "metadata/00001.arrow",
        "metadata/00002.arrow",
        "text",
        "text/00000.npy",
        "text/00001.npy",
        "text/00002.npy",
    ]
    assert np.load(collection / "text/00001.npy").shape == (10, 8)
    with pa.memory_map(str(collection / "metadata/00001.arrow")) as file:
        assert pa.ipc.open_file(file).read_all()["row"].to_pylist() == list(range(10))


@pytest.mark.parametrize(
    ("rule", "kept", "dropped"),
    [
        ("none", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0),
        ("safe", [0, 4, 8], 7),
        ("sisap", [0, 1, 4, 5, 8, 9], 4),
        ("sisap-dev", [0, 1, 3, 4, 5, 7, 8, 9], 2),
    ],
)
def test_an_nsfw_rule_keeps_its_rows_and_counts_the_others(
    make_parts, build, tmp_path, rule, kept, dropped
):
    report = build(make_parts(10), tmp_path / "c", nsfw=rule)
    assert rows_of(tmp_path / "c")["row"].to_pylist() == kept
    assert report.dropped == {"non_finite": 0, "zero": 0, "nsfw": dropped, "where": 0}
    assert (report.rows, report.rows_read) == (len(kept), 10)


def laion_2b_columns(number, rows):
    return {
        "URL": [f"https://example.org/{row}" for row in range(rows)],
        "TEXT": [f"caption {row}" for row in range(rows)],
        "WIDTH": pa.array([float(row) if row % 3 else float("nan") for row in range(rows)]),
        "HEIGHT": pa.array(range(rows), pa.int64()),
        "punsafe": pa.array([row / 10 for row in range(rows)], pa.float32()),
    }


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("width >= 4", [4, 5, 7, 8]),
        ("WIDTH >= 4 AND HEIGHT < 8", [4, 5, 7]),
        ("width IS NULL", [0, 3, 6, 9]),
        ("caption = 'caption 2' OR TEXT = 'caption 5'", [2, 5]),
        ("url LIKE '%/7' OR punsafe > 0.85", [7, 9]),
        ("false", []),
    ],
)
def test_a_filter_may_use_the_collections_names_and_the_releases(
    make_parts, build, tmp_path, where, kept
):
    report = build(make_parts(10, columns=laion_2b_columns), tmp_path / "c", where=where)
    assert rows_of(tmp_path / "c")["row"].to_pylist() == kept
    assert report.dropped["where"] == 10 - len(kept)


def test_columns_get_the_collections_names_types_and_values(make_parts, build, tmp_path):
    build(make_parts(4, columns=laion_2b_columns), tmp_path / "c")
    table = rows_of(tmp_path / "c")
    assert {field.name: str(field.type) for field in table.schema} == {
        "url": "string",
        "caption": "string",
        "width": "int32",
        "height": "int32",
        "punsafe": "float",
        "part": "int32",
        "row": "int64",
    }
    assert table["width"].to_pylist() == [None, 1, 2, None]
    assert [column.source for column in read_manifest(tmp_path / "c").columns] == [
        "URL",
        "TEXT",
        "WIDTH",
        "HEIGHT",
        "punsafe",
        None,
        None,
    ]


def test_rows_without_a_direction_are_counted_and_dropped(make_parts, build, write_part, tmp_path):
    source = make_parts(12)
    image, text = (np.load(source / f"{name}_emb_0.npy") for name in ("img", "text"))
    image[1] = 0
    image[2, 3] = np.nan
    image[3, 7] = np.inf
    image[4] = -0.0
    text[5] = 0
    text[6, 0] = -np.inf
    image[7], text[7, 1] = 0, np.nan
    image[8, 0] = 6e-8  # the smallest there is: a direction all the same
    image[8, 1:] = 0
    np.save(source / "img_emb_0.npy", image)
    np.save(source / "text_emb_0.npy", text)
    report = build(source, tmp_path / "c")
    assert rows_of(tmp_path / "c")["row"].to_pylist() == [0, 8, 9, 10, 11]
    assert report.dropped == {"non_finite": 4, "zero": 3, "nsfw": 0, "where": 0}


def test_a_row_with_several_reasons_counts_under_the_first(make_parts, build, tmp_path):
    source = make_parts(12)  # rows 2, 6 and 10 are NSFW
    image = np.load(source / "img_emb_0.npy")
    image[2], image[6, 0] = 0, np.nan
    image[3], image[4, 0] = 0, np.nan
    np.save(source / "img_emb_0.npy", image)
    report = build(source, tmp_path / "c", nsfw="sisap-dev", where="width = 100")
    assert report.dropped == {"non_finite": 2, "zero": 2, "nsfw": 1, "where": 6}
    assert (report.rows, report.rows_read) == (1, 12)


def test_a_filter_that_drops_all_makes_an_empty_collection(make_parts, build, tmp_path):
    report = build(make_parts(5, 3), tmp_path / "c", where="width < 0")
    assert (report.rows, report.rows_read, report.parts) == (0, 8, 2)
    store = Store(tmp_path / "c")
    assert store.rows == 0
    assert store.vectors("image")[:].shape == (0, 8)
    assert store.take(np.array([], np.int64)).num_rows == 0


def test_a_part_without_rows_is_a_part_of_the_collection(make_parts, build, tmp_path):
    report = build(make_parts(2, 0, 3), tmp_path / "c")
    assert (report.rows, report.parts) == (5, 3)
    assert origins(tmp_path / "c") == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    ("limit", "rows", "parts"),
    [
        (1, [1, 0, 0], 1),
        (4, [4, 0, 0], 1),
        (5, [5, 0, 0], 1),
        (6, [5, 1, 0], 2),
        (99, [5, 3, 4], 3),
    ],
)
def test_a_limit_stops_at_so_many_rows_over_all_parts(
    make_parts, build, tmp_path, limit, rows, parts
):
    report = build(make_parts(5, 3, 4), tmp_path / "c", limit=limit)
    assert report.rows == min(limit, 12)
    assert report.parts == parts
    counts = [part for part, _ in origins(tmp_path / "c")]
    assert [counts.count(part) for part in range(3)] == rows


def test_a_limit_counts_kept_rows_and_looks_no_further(make_parts, build, tmp_path):
    report = build(make_parts(10, 10), tmp_path / "c", nsfw="safe", limit=4)
    assert origins(tmp_path / "c") == [(0, 0), (0, 4), (0, 8), (1, 0)]
    assert (report.rows_read, report.dropped["nsfw"]) == (11, 7)


def test_a_limit_holds_with_several_workers_too(make_parts, build, tmp_path, tree):
    source = make_parts(5, 3, 4)
    build(source, tmp_path / "one" / "c", limit=7)
    build(source, tmp_path / "two" / "c", limit=7, workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_limit_that_is_reached_adds_nothing_more(make_parts, build, tmp_path, tree):
    source = make_parts(5, 3, 4)
    build(source, tmp_path / "c", limit=7)
    before = tree(tmp_path / "c")
    for limit in (7, 3):
        report = build(source, tmp_path / "c", limit=limit)
        assert (report.rows, report.added) == (7, 0)
    assert tree(tmp_path / "c") == before


def test_a_limit_is_of_the_collection_not_of_one_build(make_parts, build, tmp_path):
    source = make_parts(5, 3, 4)
    build(source, tmp_path / "c", limit=8)
    report = build(source, tmp_path / "c", limit=10)
    assert (report.rows, report.added) == (10, 2)
    assert origins(tmp_path / "c")[8:] == [(2, 0), (2, 1)]


def test_a_part_that_a_limit_has_cut_cannot_be_made_whole(make_parts, build, tmp_path, tree):
    source = make_parts(5, 3)
    build(source, tmp_path / "c", limit=2)
    before = tree(tmp_path / "c")
    with pytest.raises(
        Mismatch, match="part 0 was cut at row 2 of 5 by an earlier limit: build a new"
    ):
        build(source, tmp_path / "c")
    assert tree(tmp_path / "c") == before


def test_building_again_changes_nothing(make_parts, build, tmp_path, tree):
    source = make_parts(5, 3)
    build(source, tmp_path / "c")
    before, written = tree(tmp_path / "c"), (tmp_path / "c/collection.json").stat().st_mtime_ns
    report = build(source, tmp_path / "c")
    assert (report.rows, report.added) == (8, 0)
    assert tree(tmp_path / "c") == before
    assert (tmp_path / "c/collection.json").stat().st_mtime_ns == written


def test_parts_added_later_get_the_next_ids(make_parts, build, tmp_path, tree):
    make_parts(5, numbers=[7])
    build(tmp_path / "parts", tmp_path / "c")
    before = tree(tmp_path / "c")
    source = make_parts(3, numbers=[2])
    report = build(source, tmp_path / "c", parts=frozenset({2}))
    assert (report.rows, report.added) == (8, 3)
    assert origins(tmp_path / "c") == [
        *((7, row) for row in range(5)),
        *((2, row) for row in range(3)),
    ]
    after = tree(tmp_path / "c")
    assert all(after[name] == data for name, data in before.items() if name != "collection.json")


@pytest.mark.parametrize("options", [{}, {"nsfw": "sisap"}, {"where": "width > 101"}])
def test_one_build_and_several_give_the_same_bytes(make_parts, build, tmp_path, tree, options):
    source = make_parts(5, 3, 4)
    build(source, tmp_path / "once" / "c", **options)
    for parts in ({0}, {1}, None):
        numbers = None if parts is None else frozenset(parts)
        build(source, tmp_path / "thrice" / "c", parts=numbers, **options)
    assert tree(tmp_path / "once") == tree(tmp_path / "thrice")


def test_any_number_of_workers_gives_the_same_bytes(make_parts, build, tmp_path, tree):
    source = make_parts(50, 3, 40)
    options = {"nsfw": "sisap", "where": "width > 101"}
    build(source, tmp_path / "one" / "c", **options)
    build(source, tmp_path / "several" / "c", workers=2, **options)
    assert tree(tmp_path / "one") == tree(tmp_path / "several")


def test_parts_in_another_place_give_the_same_bytes(make_parts, build, tmp_path, tree):
    build(make_parts(5, 3), tmp_path / "here" / "c")
    build(make_parts(5, 3, folder="elsewhere/deep"), tmp_path / "there" / "c")
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


@pytest.mark.parametrize("block_rows", [1, 7])
def test_the_size_of_blocks_changes_no_byte(
    make_parts, build, tmp_path, tree, monkeypatch, block_rows
):
    source = make_parts(30, 11)
    options = {"nsfw": "sisap-dev", "where": "height % 5 <> 0", "limit": 22}
    build(source, tmp_path / "whole" / "c", **options)
    monkeypatch.setattr(write_part, "_BLOCK_BYTES", block_rows * 8 * 2)
    build(source, tmp_path / "cut" / "c", **options)
    assert tree(tmp_path / "whole") == tree(tmp_path / "cut")


def numbered(number, rows):
    return {"n": pa.array(range(rows))}


def test_metadata_of_many_batches_is_found_by_id(make_parts, build, tmp_path):
    build(make_parts(40_000, 20_000, dim=2, text=False, columns=numbered), tmp_path / "c")
    ids = np.array([0, 16_383, 16_384, 39_999, 40_000, 56_384, 59_999])
    table = Store(tmp_path / "c").take(ids)
    assert table["n"].to_pylist() == [0, 16_383, 16_384, 39_999, 0, 16_384, 19_999]


def test_only_the_named_parts_are_built(make_parts, build, tmp_path):
    report = build(make_parts(1, 2, 3, 4), tmp_path / "c", parts=frozenset({1, 3}))
    assert (report.parts, report.rows) == (2, 6)


def test_progress_goes_up_to_all_rows(make_parts, build, tmp_path):
    source = make_parts(5, 3, 4)
    for workers in (1, 2):
        seen = []
        build(
            source,
            tmp_path / f"c{workers}",
            workers=workers,
            progress=lambda done, total, seen=seen: seen.append((done, total)),
        )
        assert seen == sorted(seen)
        assert seen[-1] == (12, 12)


def test_the_manifest_names_every_file_and_the_sources(make_parts, build, tmp_path):
    source = make_parts(5, layout="laion400m")
    build(source, tmp_path / "c", nsfw="sisap", where="width > 0", model=MODEL)
    content = json.loads((tmp_path / "c/collection.json").read_bytes())
    assert (content["format"], content["version"]) == ("pairdex-collection", 1)
    assert (content["name"], content["rows"], content["rows_read"], content["dim"]) == (
        "c",
        3,
        5,
        8,
    )
    assert content["vectors"] == ["image", "text"]
    assert content["filter"] == {"nsfw": "sisap", "where": "width > 0"}
    assert content["model"] == MODEL
    (part,) = content["parts"]
    assert set(part["files"]) == {"image", "text", "metadata"}
    assert [entry["path"] for entry in part["sources"]] == [
        "img_emb/img_emb_0.npy",
        "text_emb/text_emb_0.npy",
        "metadata/metadata_0.parquet",
    ]
    for entry in part["sources"]:
        assert (source / entry["path"]).stat().st_size == entry["bytes"]


def test_a_note_beside_the_parts_tells_the_model_and_the_pictures(make_parts, build, tmp_path):
    source = make_parts(5)
    (source / "pairdex.json").write_text(json.dumps({"model": MODEL, "pictures": "/pictures"}))
    build(source, tmp_path / "c")
    manifest = read_manifest(tmp_path / "c")
    assert manifest.model == MODEL
    assert manifest.parts[0].pictures == "/pictures"


@pytest.mark.parametrize(
    "note", ["", "{", "[]", "{}", '{"model": null}', '{"model": {"name": "x"}, "pictures": null}']
)
def test_a_damaged_note_is_refused(make_parts, build, tmp_path, note):
    source = make_parts(5)
    (source / "pairdex.json").write_text(note)
    with pytest.raises(DamagedFile, match=r"pairdex\.json is damaged"):
        build(source, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_model_of_another_dimension_is_refused(make_parts, build, tmp_path):
    with pytest.raises(
        Mismatch, match=r"the model some makes vectors of 9 dimensions, img_emb_0\.npy has 8"
    ):
        build(make_parts(5), tmp_path / "c", model={**MODEL, "dim": 9})
    assert not (tmp_path / "c").exists()


def test_a_model_told_later_is_recorded(make_parts, build, tmp_path):
    source = make_parts(5)
    build(source, tmp_path / "c")
    build(source, tmp_path / "c", model=MODEL)
    assert read_manifest(tmp_path / "c").model == MODEL
    build(source, tmp_path / "c")
    assert read_manifest(tmp_path / "c").model == MODEL


def key_columns(number, rows):
    return {"url": ["u"] * rows, "NSFW": ["UNLIKELY"] * rows, "key": ["k"] * rows}


@pytest.mark.parametrize(
    ("parts", "options", "told"),
    [
        ({"dim": 9}, {}, "has the dimension 8, the parts to add have 9"),
        ({"text": False}, {}, "has the vectors image and text, the parts to add have image"),
        ({}, {"nsfw": "safe"}, "has the NSFW rule none, the parts to add have safe"),
        ({}, {"where": "width > 1"}, "has the filter none, the parts to add have width > 1"),
        (
            {"columns": key_columns},
            {},
            "has the columns caption, height, license, .* have key, nsfw, url",
        ),
        (
            {},
            {"model": {**MODEL, "checksum": "f" * 32}},
            r"has the model some \(0123456789ab\), the parts to add have some \(ffffffffffff\)",
        ),
    ],
)
def test_parts_that_do_not_fit_the_collection_are_refused(
    make_parts, build, tmp_path, tree, parts, options, told
):
    build(make_parts(5), tmp_path / "c", model=MODEL)
    before = tree(tmp_path / "c")
    other = make_parts(3, numbers=[1], folder="other", **parts)
    if parts.get("dim"):
        options = {**options, "model": None}
    with pytest.raises(Mismatch, match=f"{told}: build them into a collection of their own"):
        build(other, tmp_path / "c", **options)
    assert tree(tmp_path / "c") == before


def test_an_added_column_of_a_narrower_type_is_widened(make_parts, build, tmp_path):
    build(make_parts(2, columns={"n": pa.array([1, 2**40])}), tmp_path / "c")
    build(make_parts(2, numbers=[1], columns={"n": pa.array([3, 4], pa.int32())}), tmp_path / "c")
    assert rows_of(tmp_path / "c")["n"].to_pylist() == [1, 2**40, 3, 4]


def test_an_added_column_of_a_wider_type_widens_the_collections(make_parts, build, tmp_path):
    build(make_parts(2, columns={"n": pa.array([1, 2], pa.int32())}), tmp_path / "c")
    build(make_parts(1, numbers=[1], columns={"n": pa.array([2**40])}), tmp_path / "c")
    assert rows_of(tmp_path / "c")["n"].to_pylist() == [1, 2, 2**40]
    assert verify(tmp_path / "c").damaged == []


def test_a_rule_without_its_column_is_refused(make_parts, build, tmp_path):
    with pytest.raises(
        Mismatch, match="has no column NSFW, which the rule sisap needs; its columns are url, n"
    ):
        build(make_parts(1, columns={"url": ["u"], "n": [1]}), tmp_path / "c", nsfw="sisap")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        (
            {"nsfw": "strict"},
            InvalidArgument,
            "the NSFW rule is 'strict', expected one of none, safe",
        ),
        ({"limit": 0}, InvalidArgument, "the limit is 0, expected at least 1 row"),
        ({"limit": -5}, InvalidArgument, "the limit is -5"),
        ({"workers": 0}, InvalidArgument, "workers is 0, expected at least 1"),
        ({"where": "DROP TABLE x"}, InvalidPredicate, "is not an SQL predicate"),
        ({"where": "nosuch = 1"}, InvalidPredicate, "names the unknown column nosuch"),
        ({"where": "width"}, InvalidPredicate, "expected a boolean"),
        ({"parts": frozenset({9})}, MissingFile, "holds no part 9"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_that_cannot_be_done_leaves_nothing(
    make_parts, build, tmp_path, options, error, told, workers
):
    with pytest.raises(error, match=told):
        build(make_parts(5, 5), tmp_path / "c", **{"workers": workers, **options})
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_part_that_turns_out_damaged_keeps_the_collection_from_appearing(
    make_parts, build, tmp_path, workers
):
    source = make_parts(500, 500)
    data = bytearray((source / "metadata_1.parquet").read_bytes())
    data[4:400] = bytes(396)
    (source / "metadata_1.parquet").write_bytes(data)
    with pytest.raises(
        DamagedFile, match=r"metadata_1\.parquet cannot be read: .*; fetch it again"
    ):
        build(source, tmp_path / "c", workers=workers)
    assert not (tmp_path / "c/collection.json").exists()
    assert not list((tmp_path / "c").rglob("*.partial"))
    with pytest.raises(MissingFile, match="is not a collection"):
        Store(tmp_path / "c")


def test_a_build_goes_on_when_the_damaged_part_is_mended(make_parts, build, tmp_path, tree):
    source = make_parts(500, 500)
    build(source, tmp_path / "undisturbed" / "c")
    good = (source / "metadata_1.parquet").read_bytes()
    (source / "metadata_1.parquet").write_bytes(good[:4] + bytes(396) + good[400:])
    with pytest.raises(DamagedFile):
        build(source, tmp_path / "mended" / "c")
    (source / "metadata_1.parquet").write_bytes(good)
    build(source, tmp_path / "mended" / "c")
    assert tree(tmp_path / "mended") == tree(tmp_path / "undisturbed")


def test_a_folder_that_holds_other_things_is_not_built_into(make_parts, build, tmp_path, tree):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "letter.txt").write_text("dear")
    (tmp_path / "c" / "image").mkdir()
    (tmp_path / "c" / "image" / ".x.partial").write_text("mine")
    before = tree(tmp_path / "c")
    with pytest.raises(
        InvalidArgument, match=r"is no collection and not empty \(it holds letter.txt\)"
    ):
        build(make_parts(5), tmp_path / "c")
    assert tree(tmp_path / "c") == before


def test_an_empty_folder_is_built_into(make_parts, build, tmp_path):
    (tmp_path / "c").mkdir()
    assert build(make_parts(5), tmp_path / "c").rows == 5


def test_a_file_in_the_way_of_the_collection_is_told(make_parts, build, tmp_path):
    (tmp_path / "c").write_text("a file")
    with pytest.raises(WriteFailed, match=r"cannot write .*c: File exists"):
        build(make_parts(5), tmp_path / "c")
    with pytest.raises(WriteFailed, match=r"cannot write .*deeper: Not a directory"):
        build(make_parts(5), tmp_path / "c" / "deeper")
    assert (tmp_path / "c").read_text() == "a file"


def test_a_second_builder_fails_at_once(make_parts, build, tmp_path, tree):
    source = make_parts(5)
    (tmp_path / "c").mkdir()
    with (
        lock.writing(tmp_path / "c"),
        pytest.raises(CollectionBusy, match="c is being written by another process; wait until"),
    ):
        build(source, tmp_path / "c")
    assert tree(tmp_path / "c") == {}
    assert build(source, tmp_path / "c").rows == 5


def test_the_lock_dies_with_its_holder(make_parts, build, tmp_path):
    (tmp_path / "c").mkdir()
    program = (
        "import sys, pathlib; from pairdex.files import lock\n"
        "with lock.writing(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "c")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CollectionBusy):
            build(make_parts(5), tmp_path / "c")
        holder.kill()
    assert build(tmp_path / "parts", tmp_path / "c").rows == 5


class Deadly:
    """Ends the process that it is sent to."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_worker_that_is_ended_is_told_and_the_build_goes_on(
    make_parts, build, tmp_path, tree, monkeypatch
):
    source = make_parts(5, 6)

    def sent_to_death(tasks, executor, **options):
        tasks = [dataclasses.replace(task, note=Deadly()) for task in tasks]
        return staging.run_tasks(tasks, executor, **options)

    monkeypatch.setattr("pairdex.store.build.run_tasks", sent_to_death)
    with pytest.raises(WriteFailed, match=r"a worker was killed from outside, .* fewer --workers"):
        build(source, tmp_path / "disturbed" / "c", workers=2)
    assert not (tmp_path / "disturbed" / "c").exists()
    monkeypatch.undo()
    build(source, tmp_path / "disturbed" / "c")
    build(source, tmp_path / "undisturbed" / "c")
    assert tree(tmp_path / "disturbed") == tree(tmp_path / "undisturbed")


def stopped_after_first_part(build, source, collection, monkeypatch, **options):
    """Build as if killed when the first part is done."""

    class Killed(BaseException):
        pass

    calls = []

    def once(task, advance=None):
        if calls:
            raise Killed
        calls.append(task)
        return write_part.write_part(task, advance)

    monkeypatch.setattr(write_part.PartTask, "write", once)
    with pytest.raises(Killed):
        build(source, collection, **options)
    monkeypatch.undo()


def test_a_part_that_is_done_is_not_done_again(make_parts, build, tmp_path, monkeypatch):
    source = make_parts(5, 3)
    stopped_after_first_part(build, source, tmp_path / "c", monkeypatch)
    done = (tmp_path / "c/image/00000.npy").stat().st_ino
    build(source, tmp_path / "c")
    assert (tmp_path / "c/image/00000.npy").stat().st_ino == done


def test_a_changed_source_or_another_option_is_done_again(
    make_parts, build, tmp_path, tree, monkeypatch
):
    source = make_parts(5, 3)
    stopped_after_first_part(build, source, tmp_path / "options" / "c", monkeypatch)
    build(source, tmp_path / "options" / "c", where="width > 102")
    build(source, tmp_path / "fresh options" / "c", where="width > 102")
    assert tree(tmp_path / "options") == tree(tmp_path / "fresh options")

    stopped_after_first_part(build, source, tmp_path / "source" / "c", monkeypatch)
    image = np.load(source / "img_emb_0.npy")
    np.save(source / "img_emb_0.npy", image[::-1])
    os.utime(source / "img_emb_0.npy", ns=(1, 1))
    build(source, tmp_path / "source" / "c")
    build(source, tmp_path / "fresh source" / "c")
    assert tree(tmp_path / "source") == tree(tmp_path / "fresh source")


def test_a_record_never_vouches_for_files_of_another_build(
    make_parts, build, tmp_path, tree, monkeypatch
):
    """A (killed), then B with other options (killed while writing), then A again."""
    source = make_parts(6, 3)
    build(source, tmp_path / "fresh" / "c", where="width % 2 = 0")
    collection = tmp_path / "disturbed" / "c"
    stopped_after_first_part(build, source, collection, monkeypatch, where="width % 2 = 0")

    def killed_before_the_record(task, advance=None):
        write_part.write_part(task, advance)
        raise KeyboardInterrupt

    monkeypatch.setattr(write_part.PartTask, "write", killed_before_the_record)
    with pytest.raises(KeyboardInterrupt):
        build(source, collection, where="width % 2 = 1")
    monkeypatch.undo()
    build(source, collection, where="width % 2 = 0")
    assert tree(tmp_path / "disturbed") == tree(tmp_path / "fresh")


def test_a_damaged_record_only_costs_the_part(make_parts, build, tmp_path, tree, monkeypatch):
    source = make_parts(5, 3)
    build(source, tmp_path / "fresh" / "c")
    stopped_after_first_part(build, source, tmp_path / "disturbed" / "c", monkeypatch)
    (tmp_path / "disturbed/c/.build/00000.json").write_bytes(b"\xff{")
    build(source, tmp_path / "disturbed" / "c")
    assert tree(tmp_path / "disturbed") == tree(tmp_path / "fresh")


def test_what_an_interrupted_build_of_other_parts_left_is_removed(
    make_parts, build, tmp_path, tree, monkeypatch
):
    source = make_parts(5, 3, 4)
    stopped_after_first_part(build, source, tmp_path / "c", monkeypatch)
    for kind, suffix in (("image", "npy"), ("text", "npy"), ("metadata", "arrow")):
        (tmp_path / f"c/{kind}/00001.{suffix}").write_bytes(b"of a part that is not built now")
        (tmp_path / f"c/{kind}/.00002.{suffix}.0a1b.partial").write_bytes(b"half")
    (tmp_path / "c/image/notes.txt").write_text("not ours")
    images_only = make_parts(6, folder="other", text=False)
    build(images_only, tmp_path / "c")
    assert sorted(tree(tmp_path / "c")) == [
        "collection.json",
        "image",
        "image/00000.npy",
        "image/notes.txt",
        "metadata",
        "metadata/00000.arrow",
    ]


def test_parts_of_real_vectors_and_pairs_are_built_as_they_are(real_data, build, tmp_path):
    source, rows = tmp_path / "parts", 9_000
    source.mkdir()
    vectors = np.load(real_data / "clip_b32_images.npy", mmap_mode="r")
    pairs = pq.read_table(real_data / "web_pairs_10k.parquet")
    for number, start in enumerate((0, 5_000)):
        count = min(5_000, rows - start)
        np.save(source / f"img_emb_{number}.npy", vectors[start : start + count])
        pq.write_table(pairs.slice(start, count), source / f"metadata_{number}.parquet")
    report = build(source, tmp_path / "c")
    assert report.rows == report.rows_read == rows
    store = Store(tmp_path / "c")
    np.testing.assert_array_equal(store.vectors("image")[:], vectors[:rows])
    table = store.take(np.arange(rows))
    assert table["url"].to_pylist() == pairs["URL"].slice(0, rows).to_pylist()
    assert table["caption"].to_pylist() == pairs["TEXT"].slice(0, rows).to_pylist()


def test_a_collection_may_be_moved(collection, tmp_path):
    shutil.move(collection, tmp_path / "elsewhere")
    assert Store(tmp_path / "elsewhere").rows == 60


def test_no_flipped_bit_of_the_record_of_a_finished_part_gets_into_the_manifest(
    make_parts, build, tmp_path
):
    source = make_parts(5, 3)
    build(source, tmp_path / "c")
    whole = (tmp_path / "c" / "collection.json").read_bytes()
    for bit in range(0, 8_000, 389):
        shutil.rmtree(tmp_path / "c")

        def stop(done, total):
            if done > 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build(source, tmp_path / "c", progress=stop)
        record = tmp_path / "c" / ".build" / "00000.json"
        data = bytearray(record.read_bytes())
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        record.write_bytes(data)
        build(source, tmp_path / "c")
        assert (tmp_path / "c" / "collection.json").read_bytes() == whole
