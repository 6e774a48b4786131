"""Columns: one name and one type for what is known, everything else kept."""

import decimal
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairdex.errors import DamagedFile, Mismatch, PairdexError
from pairdex.parts.columns import (
    column_notes,
    plan_columns,
    plan_parts,
    read_tables,
    with_source_names,
)
from pairdex.parts.layout import find_parts


@pytest.fixture
def plan(tmp_path, write_part):
    """Make a part of each table; give the parts and the columns planned for them."""

    def make(*tables, **parquet):
        for number, columns in enumerate(tables):
            table = columns if isinstance(columns, pa.Table) else pa.table(columns)
            vectors = np.ones((len(table), 4), np.float16)
            write_part(tmp_path, number, vectors, None, table)
            pq.write_table(table, tmp_path / f"metadata_{number}.parquet", **parquet)
        parts = find_parts(tmp_path)
        return parts, plan_columns(parts)

    return make


def named(columns):
    return {column.source: column.name for column in columns}


def types(columns):
    return {column.name: str(column.type) for column in columns}


def read(parts, columns, table_rows=1000):
    tables = [table for part in parts for table in read_tables(part.metadata, columns, table_rows)]
    return pa.concat_tables(tables)


def test_laion_400ms_columns_get_the_collections_names(plan):
    _, columns = plan(
        {
            "image_path": ["a"],
            "caption": ["b"],
            "NSFW": ["UNLIKELY"],
            "similarity": [0.3],
            "LICENSE": ["?"],
            "url": ["u"],
            "key": ["k"],
            "original_width": [5],
            "original_height": [6],
            "exif": ["{}"],
            "md5": ["0"],
        }
    )
    assert named(columns) == {
        "image_path": "image_path",
        "caption": "caption",
        "NSFW": "nsfw",
        "similarity": "similarity",
        "LICENSE": "license",
        "url": "url",
        "key": "key",
        "original_width": "width",
        "original_height": "height",
        "exif": "exif",
        "md5": "md5",
    }


def test_laion_2bs_columns_get_the_collections_names(plan):
    _, columns = plan(
        {
            "URL": ["u"],
            "TEXT": ["t"],
            "WIDTH": [1],
            "HEIGHT": [2],
            "NSFW": [None],
            "punsafe": [0.1],
            "pwatermark": [0.2],
        }
    )
    assert named(columns) == {
        "URL": "url",
        "TEXT": "caption",
        "WIDTH": "width",
        "HEIGHT": "height",
        "NSFW": "nsfw",
        "punsafe": "punsafe",
        "pwatermark": "pwatermark",
    }


def test_the_preferred_name_wins_and_the_other_is_kept(plan):
    _, columns = plan({"original_width": [9], "width": [5], "TEXT": ["t"], "caption": ["c"]})
    assert named(columns) == {
        "original_width": "original_width",
        "width": "width",
        "TEXT": "TEXT",
        "caption": "caption",
    }


def test_a_name_that_the_collection_needs_itself_is_kept_under_another(plan):
    parts, columns = plan(
        {
            "id": [1],
            "Part": [2],
            "row": [3],
            "distance": [4],
            "pair_similarity": [5],
            "source_id": [6],
            "similarity": [0.5],
        }
    )
    assert named(columns) == {
        "id": "source_id",
        "Part": "source_Part",
        "row": "source_row",
        "distance": "source_distance",
        "pair_similarity": "source_pair_similarity",
        "source_id": "source_source_id",
        "similarity": "similarity",
    }
    assert read(parts, columns)["source_id"].to_pylist() == [1]


def test_names_that_differ_only_in_case_stay_apart(plan):
    parts, columns = plan({"Key": ["a"], "key": ["b"], "URL": ["c"], "url": ["d"]})
    assert named(columns) == {"Key": "Key", "key": "source_key", "URL": "url", "url": "source_url"}
    table = read(parts, columns).to_pylist()
    assert table == [{"Key": "a", "source_key": "b", "url": "c", "source_url": "d"}]


def test_known_columns_have_one_type_whatever_the_release(plan):
    parts, columns = plan(
        {
            "url": pa.array(["u"], pa.large_string()),
            "caption": pa.array([b"c"]),
            "NSFW": pa.array(["UNSURE"]).dictionary_encode(),
            "similarity": np.array([0.5], np.float16),
            "width": pa.array([7], pa.int64()),
            "height": pa.array(["8"]),
        }
    )
    assert types(columns) == {
        "url": "string",
        "caption": "string",
        "nsfw": "string",
        "similarity": "double",
        "width": "int32",
        "height": "int32",
    }
    assert read(parts, columns).to_pylist() == [
        {
            "url": "u",
            "caption": "c",
            "nsfw": "UNSURE",
            "similarity": 0.5,
            "width": 7,
            "height": 8,
        }
    ]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_whole_numbers_that_pandas_made_floats_are_numbers_again(plan, kind):
    parts, columns = plan({"width": pa.array([640.0, float("nan"), None, 0.0], kind)})
    table = read(parts, columns)
    assert table["width"].to_pylist() == [640, None, None, 0]
    assert table["width"].type == pa.int32()


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        (pa.array(["a"]).dictionary_encode(), pa.string()),
        (pa.array(["a"], pa.large_string()), pa.string()),
        (pa.array([7]).dictionary_encode(), pa.int64()),
        (pa.array([b"\xff"]), pa.binary()),
        (pa.array([b"0123456789abcdef"], pa.binary(16)), pa.binary(16)),
        (pa.array([1.5], pa.float32()), pa.float32()),
        (pa.array([True]), pa.bool_()),
        (pa.array([decimal.Decimal("1.50")]), pa.decimal128(3, 2)),
        (pa.array([1], pa.timestamp("us", "UTC")), pa.timestamp("us", "UTC")),
        (pa.array([["a", "b"]]), pa.list_(pa.string())),
        (pa.array([{"a": 1}]), pa.struct([("a", pa.int64())])),
        (pa.nulls(1), pa.null()),
    ],
)
def test_unknown_columns_are_kept_with_their_values(plan, values, stored):
    parts, columns = plan({"unknown": values})
    table = read(parts, columns)
    assert table["unknown"].type.id == stored.id
    assert table["unknown"].to_pylist() == values.to_pylist()


@pytest.mark.parametrize(
    ("first", "second", "stored"),
    [
        (pa.nulls(1), pa.array(["a"]), "string"),
        (pa.array(["a"]), pa.nulls(1), "string"),
        (pa.array([1], pa.int32()), pa.array([2**40]), "int64"),
        (pa.array([1], pa.int64()), pa.array([0.5]), "double"),
        (pa.array([1], pa.float32()), pa.array([0.5]), "double"),
        (pa.array(["a"]), pa.array(["b"], pa.large_string()), "string"),
        (pa.array(["a"]), pa.array(["b"]).dictionary_encode(), "string"),
        (pa.array([1]).dictionary_encode(), pa.array([2]), "int64"),
    ],
)
def test_parts_whose_types_differ_get_the_wider_one(plan, first, second, stored):
    parts, columns = plan({"unknown": first}, {"unknown": second})
    assert types(columns) == {"unknown": stored}
    table = read(parts, columns)
    assert table["unknown"].to_pylist() == first.to_pylist() + second.to_pylist()


def test_views_of_text_are_text(plan):
    try:
        parts, columns = plan({"url": ["a"]}, {"url": pa.array(["b"], pa.string_view())})
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"this pyarrow cannot write them: {error}")
    assert types(columns) == {"url": "string"}
    assert read(parts, columns)["url"].to_pylist() == ["a", "b"]


def test_known_columns_may_differ_in_type_from_part_to_part(plan):
    parts, columns = plan({"width": pa.array([1.0, None])}, {"width": ["2", "3"]})
    assert read(parts, columns)["width"].to_pylist() == [1, None, 2, 3]


def test_types_with_nothing_in_common_are_texts(plan):
    parts, columns = plan({"key": ["a"]}, {"key": [1]}, {"key": [True]})
    assert types(columns) == {"key": "string"}
    assert read(parts, columns)["key"].to_pylist() == ["a", "1", "true"]


def test_a_list_beside_a_number_is_refused_with_both_types(plan):
    with pytest.raises(
        Mismatch,
        match=r"do not agree in type: x of metadata_1.parquet is list<.*>, of the parts before .* int64",
    ):
        plan({"x": [1]}, {"x": [[1]]})


def planned(parts):
    """Each part's rows as its own columns of the common plan read them."""
    tables = [
        table
        for part, columns in zip(parts, plan_parts(parts).of_parts, strict=True)
        for table in read_tables(part.metadata, columns, 1000)
    ]
    return pa.concat_tables(tables)


def test_known_names_are_mapped_before_columns_are_compared(plan):
    parts, columns = plan(
        {"url": ["a"], "caption": ["b"], "width": [1], "Key": [5]},
        {"URL": ["c"], "TEXT": ["d"], "original_width": [2], "KEY": [6]},
    )
    assert planned(parts).to_pylist() == [
        {"url": "a", "caption": "b", "width": 1, "Key": 5},
        {"url": "c", "caption": "d", "width": 2, "Key": 6},
    ]
    assert named(columns) == {"url": "url", "caption": "caption", "width": "width", "Key": "Key"}


def test_filters_may_use_the_names_that_any_part_uses(plan):
    parts, _ = plan({"caption": ["b"]}, {"TEXT": ["d"]})
    for part, columns in zip(parts, plan_parts(parts).of_parts, strict=True):
        (table,) = read_tables(part.metadata, columns, 10)
        assert with_source_names(table, columns).column_names == ["caption", "TEXT"]


def test_the_order_of_columns_may_differ_from_part_to_part(plan):
    parts, columns = plan({"url": ["a"], "key": ["b"]}, {"key": ["c"], "url": ["d"]})
    assert read(parts, columns).to_pylist() == [
        {"url": "a", "key": "b"},
        {"url": "d", "key": "c"},
    ]


@pytest.mark.parametrize(("lacking", "having"), [(0, 1), (1, 0)])
def test_a_column_that_one_part_lacks_is_named(plan, lacking, having):
    tables = [{"url": ["a"]}, {"url": ["a"]}]
    tables[having]["key"] = ["b"]
    with pytest.raises(
        Mismatch,
        match=f"metadata_{lacking}.parquet lacks the column key that metadata_{having}.parquet has",
    ):
        plan(*tables)


def test_a_column_that_is_there_twice_is_named(plan):
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["key", "key"])
    with pytest.raises(Mismatch, match=r"metadata_0\.parquet has the column key twice"):
        plan(table)
    with pytest.raises(Mismatch, match=r"metadata_1\.parquet has the column key twice"):
        plan({"key": ["a"]}, table)


@pytest.mark.parametrize(
    ("column", "values", "kept"),
    [
        ("width", pa.array([1.5, 2.0]), [None, 2]),
        ("WIDTH", pa.array([2**40, 3]), [None, 3]),
        ("width", pa.array([float("inf"), 4.0]), [None, 4]),
        ("width", pa.array(["wide", " 5 "]), [None, 5]),
        ("similarity", pa.array(["0.5?", "0.25"]), [None, 0.25]),
        ("caption", pa.array([b"\xff!", b"fine"]), ["\ufffd!", "fine"]),
    ],
)
def test_a_value_that_does_not_fit_costs_itself_and_is_counted(plan, column, values, kept):
    parts, columns = plan({column: values})
    invalid = Counter()
    (table,) = read_tables(parts[0].metadata, columns, 10, invalid)
    assert table[0].to_pylist() == kept
    assert invalid == {columns[0].name: 1}


def test_of_several_captions_the_first_is_taken_and_all_are_kept(plan):
    captions = [["a dog", "the dog"], [], None, [None, "a cat"]]
    parts, columns = plan({"url": ["u"] * 4, "TEXT": captions})
    table = read(parts, columns)
    assert table["caption"].to_pylist() == ["a dog", None, None, "a cat"]
    assert table["source_caption"].to_pylist() == captions
    assert column_notes(parts) == [
        "metadata_0.parquet has several values a row in TEXT: the first is taken, all are kept as "
        "source_caption"
    ]


def test_a_known_column_of_another_kind_is_kept_under_another_name(plan):
    parts, columns = plan({"caption": [{"raw": "a"}], "width": [pa.scalar(1, pa.date32())]})
    table = read(parts, columns)
    assert table.column_names == ["source_caption", "source_width"]
    assert table["source_caption"].to_pylist() == [{"raw": "a"}]
    assert [note.rpartition(" ")[2] for note in column_notes(parts)] == table.column_names


@pytest.mark.parametrize("group_rows", [1, 7, 64, 1000])
@pytest.mark.parametrize("table_rows", [1, 10, 99, 100, 101])
def test_tables_of_any_size_make_up_the_metadata(plan, group_rows, table_rows):
    parts, columns = plan({"n": list(range(100))}, row_group_size=group_rows)
    tables = list(read_tables(parts[0].metadata, columns, table_rows))
    assert [len(table) for table in tables[:-1]] == [table_rows] * (len(tables) - 1)
    assert pa.concat_tables(tables)["n"].to_pylist() == list(range(100))


def test_metadata_without_rows_gives_no_tables(plan):
    parts, columns = plan({"url": pa.array([], pa.string())})
    assert list(read_tables(parts[0].metadata, columns, 10)) == []


def test_columns_with_dots_and_quotes_in_their_names_are_read(plan):
    parts, columns = plan({"a.b": [1], "a": [2], 'say "x"': [3], "": [4]})
    assert read(parts, columns).to_pylist() == [{"a.b": 1, "a": 2, 'say "x"': 3, "": 4}]


def test_filters_may_use_the_releases_names_too(plan):
    parts, columns = plan({"TEXT": ["t"], "NSFW": ["n"], "original_width": [5], "id": [6]})
    table = with_source_names(read(parts, columns), columns)
    assert table.column_names == [
        "caption",
        "nsfw",
        "width",
        "source_id",
        "TEXT",
        "original_width",
        "id",
    ]
    assert table.to_pylist()[0]["TEXT"] == "t"
    assert table.to_pylist()[0]["original_width"] == 5


def flips(data):
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x80
        yield bytes(changed)


def test_a_flipped_byte_is_told_in_one_line_or_changes_one_value(plan):
    parts, _ = plan({"url": ["a", "b", "c", None], "width": [1, 2, 3, 4]})
    path = parts[0].metadata
    told = []
    for content in flips(path.read_bytes()):
        path.write_bytes(content)
        try:
            parts = find_parts(path.parent)
            table = read(parts, plan_columns(parts), 3)
        except PairdexError as error:
            told.append(str(error))
        else:
            assert len(table) == 4
    assert len(told) > 100
    assert not any("\n" in line for line in told)


def test_a_flipped_byte_in_a_page_with_a_checksum_is_always_found(plan):
    values = {"url": [f"https://example.org/{row}" for row in range(50)]}
    parts, columns = plan(
        values, write_page_checksum=True, compression="none", use_dictionary=False
    )
    path = parts[0].metadata
    data = path.read_bytes()
    place = data.index(b"https://example.org/17") + 21
    path.write_bytes(data[:place] + b"9" + data[place + 1 :])
    with pytest.raises(
        DamagedFile, match=r"cannot be read: .*CRC checksum verification failed.*; fetch it"
    ):
        read(parts, columns)


def test_a_footer_that_lies_about_the_rows_is_told(plan, tmp_path, monkeypatch):
    parts, columns = plan({"n": list(range(10))})

    class Footer:
        num_rows, num_row_groups = 12, 1

    class Lying(pq.ParquetFile):
        metadata = Footer()

    monkeypatch.setattr("pairdex.parts.parquet.pq.ParquetFile", Lying)
    for table_rows in (4, 10, 100):
        with pytest.raises(DamagedFile, match="has 10 rows, its footer says 12: it is damaged"):
            list(read_tables(parts[0].metadata, columns, table_rows))
