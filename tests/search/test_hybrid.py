"""Searches with keywords: fusion worked out by hand, phrases, filters and removals."""

import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument
from pairdex.search.hybrid import RRF_K, VECTOR_DEPTH, fuse


def test_ranks_are_fused_as_cormack_says():
    # 1: 1/61; 2: 1/62 + 1/61; 3: 1/63; 4: 1/62
    assert RRF_K == 60
    assert fuse(np.array([1, 2, 3]), np.array([2, 4])).ids.tolist() == [2, 1, 4, 3]


def test_equal_sums_are_ordered_as_in_the_first_ranking_then_by_id():
    assert fuse(np.array([9, 5]), np.array([5, 9])).ids.tolist() == [9, 5]
    assert fuse(np.array([], int), np.array([8, 3])).ids.tolist() == [8, 3]


def test_a_longer_ranking_by_vectors_changes_no_score_of_a_row_that_the_words_found():
    rng = np.random.default_rng(3)
    near, said = rng.permutation(400), rng.permutation(400)[:150]
    short, long = fuse(near[:VECTOR_DEPTH], said), fuse(near, said)
    scores = dict(zip(long.ids.tolist(), long.scores.tolist(), strict=True))
    assert [scores[row] for row in short.ids.tolist()] == short.scores.tolist()
    assert short.first(100).ids.tolist() == long.first(100).ids.tolist()


@pytest.fixture
def c(collection):
    return pairdex.open(collection)


def test_a_row_that_both_rankings_have_comes_first(c):
    near = c.search(like=0, k=59)["id"].to_pylist()
    words = [i for i in near if f"caption {i}" in c.take([i])["caption"][0].as_py()]
    found = c.search(like=0, k=59, keywords="part 2")["id"].to_pylist()
    assert sorted(found) == sorted(near)
    in_part_2 = [i for i in near if i >= 40]
    rank = {row: place for place, row in enumerate(near)}
    said = {row: place for place, row in enumerate(_bm25_order(c, near))}
    expected = sorted(
        near,
        key=lambda row: (-(1 / (61 + rank[row]) + 1 / (61 + said[row])), rank[row]),
    )
    assert found == expected
    assert found[0] in in_part_2
    assert words


def _bm25_order(c, rows):
    from pairdex.derived.lookups.words import parse_keywords

    ranked = c.prepare_keywords().rank(parse_keywords("part 2"), 60, None).tolist()
    return [row for row in ranked if row in rows]


def test_distances_are_those_of_the_vectors_also_of_rows_that_only_the_words_found(c):
    found = c.search(like=0, k=30, keywords="2")
    plain = c.search(like=0, k=59)
    distances = dict(zip(plain["id"].to_pylist(), plain["distance"].to_pylist(), strict=True))
    for row, distance in zip(found["id"].to_pylist(), found["distance"].to_pylist(), strict=True):
        assert distance == pytest.approx(distances[row], abs=1e-12)


def test_a_phrase_has_to_appear_and_all_rows_that_have_it_are_found(c):
    found = c.search(like=0, k=60, keywords='"part 1"')["id"].to_pylist()
    assert sorted(found) == list(range(30, 40))


def test_excluded_words_do_not_appear(c):
    found = c.search(like=0, k=60, keywords="caption -2")
    assert not any("2" in caption.split() for caption in found["caption"].to_pylist())
    assert len(found) == 59 - 20 - 2  # part 2 has 20 rows; caption 2 of parts 0 and 1


def test_keywords_filter_and_safe_mode_hold_together(c):
    found = c.search(like=1, k=60, keywords='"part 0"', where="width < 120", safe=True)
    assert sorted(found["id"].to_pylist()) == [0, 4, 8, 12, 16]


def test_removed_rows_are_not_found_by_their_words(c, collection, run):
    assert 33 in c.search(like=0, k=60, keywords='"part 1"')["id"].to_pylist()
    assert run("remove", collection, "--where", "id = 33", "--reason", "test").status == 0
    for asked in ('"part 1"', "part 1"):
        assert 33 not in c.search(like=0, k=60, keywords=asked)["id"].to_pylist()


def test_rows_that_the_query_names_are_not_found_by_their_words(c):
    assert 31 not in c.search(like=31, k=60, keywords='"part 1"')["id"].to_pylist()


def test_pages_fit_together(c):
    whole = c.search(like=0, k=40, keywords="part 2")["id"].to_pylist()
    pages = [c.search(like=0, k=10, offset=o, keywords="part 2") for o in range(0, 40, 10)]
    assert [row for page in pages for row in page["id"].to_pylist()] == whole


def test_words_that_are_nowhere_leave_the_ranking_as_it_is(c):
    plain = c.search(like=0, k=20)
    assert c.search(like=0, k=20, keywords="zebra")["id"].equals(plain["id"])
    assert len(c.search(like=0, k=20, keywords='"zebra"')) == 0


def test_keywords_in_a_projection_are_refused(c, collection, run):
    assert run("project", collection, "pca4").status == 0
    with pytest.raises(InvalidArgument, match="keywords go with searches on image or text"):
        pairdex.open(collection).search(like=0, on="pca4", keywords="part")


@pytest.mark.parametrize("keywords", ["' OR 1=1 --x", '"; DROP TABLE pairs;"', "%_", "part\0 2"])
def test_keywords_are_no_sql(c, keywords):
    try:
        found = c.search(like=0, k=5, keywords=keywords)
    except InvalidArgument:
        return
    assert len(found) <= 5


def test_the_command_line_searches_for_keywords(collection, run):
    out = run("search", collection, "--like", 0, "--keywords", '"part 1"', "-k", 60, "--json")
    assert len(out.json["hits"]) == 10
