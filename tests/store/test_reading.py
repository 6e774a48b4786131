"""Reading a collection: rows by id, vectors by id, filters, over several parts."""

import numpy as np
import pyarrow as pa
import pytest

from pairdex.errors import InvalidArgument, InvalidPredicate
from pairdex.store.store import Store
from pairdex.store.vectors_view import VectorsView

BLOCKS = [
    np.arange(count * 2, dtype=np.float16).reshape(count, 2) + 100 * number
    for number, count in enumerate((3, 0, 1, 5))
]
WHOLE = np.concatenate(BLOCKS)


@pytest.fixture
def store(collection):
    return Store(collection)


def captions(store, ids, columns=None):
    return store.take(np.array(ids, np.int64), columns)["caption"].to_pylist()


def test_rows_come_in_the_order_of_their_ids(store):
    expected = ["caption 19 of part 2", "caption 0 of part 0", "caption 0 of part 1"]
    assert captions(store, [59, 0, 30]) == expected


def test_rows_may_be_taken_twice(store):
    assert captions(store, [31, 2, 31, 31]) == [
        "caption 1 of part 1",
        "caption 2 of part 0",
        "caption 1 of part 1",
        "caption 1 of part 1",
    ]


def test_any_ids_give_the_same_rows_as_indexing_the_whole(store):
    whole = store.take(np.arange(60))
    rng = np.random.default_rng(7)
    for count in (1, 5, 60, 300):
        ids = rng.integers(0, 60, count)
        assert store.take(ids) == whole.take(pa.array(ids))


def test_no_ids_give_no_rows_of_the_same_columns(store):
    table = store.take(np.array([], np.int64))
    assert table.num_rows == 0
    assert table.schema == store.schema


def test_columns_may_be_named(store):
    table = store.take(np.array([1]), ["row", "caption"])
    assert table.column_names == ["row", "caption"]
    assert store.take(np.array([1]), []).num_columns == 0


def test_an_unknown_column_is_an_error_that_lists_the_columns(store):
    with pytest.raises(InvalidArgument, match="has no column captoin; it has url, caption, nsfw"):
        store.take(np.array([1]), ["url", "captoin"])


@pytest.mark.parametrize("wrong", [60, -1, 2**62, -(2**62)])
def test_an_id_out_of_range_is_an_error_that_states_the_range(store, wrong):
    with pytest.raises(
        InvalidArgument, match=f"id {wrong} is out of range: .* has the ids 0 to 59"
    ):
        store.take(np.array([3, wrong]))


def test_a_filter_spans_all_parts_and_may_use_ids_and_origins(store):
    assert np.flatnonzero(store.mask("id >= 28 AND id < 32")).tolist() == [28, 29, 30, 31]
    assert np.flatnonzero(store.mask("part = 1 AND row < 2")).tolist() == [30, 31]
    assert np.flatnonzero(store.mask("nsfw = 'NSFW' AND id % 2 = 1")).tolist() == []
    mask = store.mask("true")
    assert mask.dtype == np.bool_
    assert mask.shape == (60,)


def test_an_invalid_filter_is_an_error_even_without_rows(make_parts, build, tmp_path):
    build(make_parts(3), tmp_path / "empty", where="false")
    empty = Store(tmp_path / "empty")
    assert empty.mask("width > 1").shape == (0,)
    with pytest.raises(InvalidPredicate, match="the unknown column nosuch; the columns are url"):
        empty.mask("nosuch = 1")


def test_missing_vectors_are_an_error(make_parts, build, tmp_path):
    build(make_parts(3, text=False), tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has no 'text' vectors: it has image"):
        Store(tmp_path / "c").vectors("text")
    with pytest.raises(
        InvalidArgument, match=r"has no 'images' vectors: .* expected image or text"
    ):
        Store(tmp_path / "c").vectors("images")


def test_vectors_are_mapped_not_read(store):
    assert all(isinstance(block, np.memmap) for block in store.vectors("image").blocks)


def test_a_row_knows_its_part(store):
    numbers = [store.part_of(row_id).number for row_id in (0, 29, 30, 39, 40, 59)]
    assert numbers == [0, 0, 1, 1, 2, 2]
    assert [store.first_id(index) for index in range(3)] == [0, 30, 40]


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(2, 5),
        slice(0, 3),
        slice(3, 4),
        slice(-4, None),
        slice(None, -8),
        slice(5, 2),
        slice(100, 200),
        slice(None, None, 2),
        slice(None, None, -1),
        slice(7, 1, -3),
        [0],
        [8, 0, 3, 3],
        [-1, -9],
        [],
        np.array([4, 2], np.uint8),
        np.arange(9) % 2 == 0,
        np.zeros(9, bool),
    ],
)
def test_indexing_a_view_equals_indexing_the_whole_array(key):
    found = VectorsView(BLOCKS, 2)[key]
    expected = WHOLE[np.asarray(key, np.int64) if isinstance(key, list) else key]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float16
    assert found.shape == expected.shape


@pytest.mark.parametrize("key", [0, 2, 3, 8, -1, -9, np.int64(4), np.uint8(4)])
def test_one_row_of_a_view_is_one_vector(key):
    found = VectorsView(BLOCKS, 2)[key]
    np.testing.assert_array_equal(found, WHOLE[key])
    assert found.shape == (2,)


@pytest.mark.parametrize("key", [9, -10, [0, 9], [-10]])
def test_a_row_outside_the_view_is_an_error(key):
    with pytest.raises(InvalidArgument, match=r"id -?\d+ is out of range, expected -9 to 8"):
        VectorsView(BLOCKS, 2)[key]


@pytest.mark.parametrize(
    "key", [[1.5], np.ones(8, bool), np.ones((9, 2), bool), [[1], [2]], ["1"], 1.0, None]
)
def test_a_key_that_is_neither_ids_nor_flags_is_an_error(key):
    with pytest.raises(InvalidArgument, match=r"rows are .* expected integers \(n,\) or 9 flags"):
        VectorsView(BLOCKS, 2)[key]


def test_a_view_is_as_long_as_its_blocks_and_iterates_over_rows():
    view = VectorsView(BLOCKS, 2)
    assert (len(view), view.shape, view.dtype) == (9, (9, 2), np.float16)
    np.testing.assert_array_equal(list(view), WHOLE)


def test_a_view_becomes_an_array():
    view = VectorsView(BLOCKS, 2)
    np.testing.assert_array_equal(np.asarray(view), WHOLE)
    np.testing.assert_array_equal(np.asarray(view, np.float32), WHOLE.astype(np.float32))
    with pytest.raises(ValueError, match="without copying; pass copy=None"):
        np.array(view, copy=False)


def test_a_view_of_nothing_is_empty():
    for blocks in ([], [BLOCKS[1]]):
        view = VectorsView(blocks, 2)
        assert view[:].shape == np.asarray(view).shape == (0, 2)
        assert view[[]].shape == (0, 2)
