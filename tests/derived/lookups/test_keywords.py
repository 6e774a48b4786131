"""The keyword index: words, phrases, BM25 computed by hand, and damaged files."""

import math

import numpy as np
import pytest

import pairdex
from pairdex.derived.lookups.keywords import K1, B, KeywordIndex
from pairdex.derived.lookups.words import MAX_KEYWORDS, Keywords, parse_keywords
from pairdex.errors import DamagedFile, InvalidArgument, UnsupportedFormat
from pairdex.store.store import Store

CAPTIONS = [
    "A red car",  # 0
    "the RED, red Car!",
    None,
    "car red",
    "",  # 4
    "blue car at night with a red boat",
    "\uff32\uff45\uff44  car",  # Red in full-width letters
    "réd car",
    "a car; red",  # 8
    "  red",
    "car",
]


@pytest.fixture
def made(make_parts, build, tmp_path):
    """A collection of two parts whose captions are those above."""
    halves = {0: CAPTIONS[:6], 1: CAPTIONS[6:]}
    source = make_parts(6, 5, columns=lambda number, _: {"caption": halves[number]})
    build(source, tmp_path / "c")
    return tmp_path / "c"


@pytest.fixture
def index(made):
    return KeywordIndex(Store(made))


def matching(index, asked):
    return np.flatnonzero(index.matching(parse_keywords(asked))).tolist()


@pytest.mark.parametrize(
    ("asked", "words", "phrases", "excluded"),
    [
        ("dog", ("dog",), (), ()),
        ('Dog "Red Car" -cat', ("dog", "red", "car"), (("red", "car"),), (("cat",),)),
        ('a -"red car"', ("a",), (), (("red", "car"),)),
        ("well-known", ("well", "known"), (), ()),
        ("a - b", ("a", "b"), (), ()),
        ('a "b c', ("a", "b", "c"), (), ()),
        ("'; DROP TABLE pairs; --x", ("drop", "table", "pairs"), (), (("x",),)),
        ("a\ud800b", ("ab",), (), ()),
    ],
)
def test_keywords_are_words_phrases_and_exclusions(asked, words, phrases, excluded):
    assert parse_keywords(asked) == Keywords(words, phrases, excluded)


@pytest.mark.parametrize("asked", ["", "  ", '""', "-cat", "!?", "-"])
def test_keywords_without_a_word_are_refused(asked):
    with pytest.raises(InvalidArgument, match="contain no word to look for") as caught:
        parse_keywords(asked)
    assert caught.value.field == "keywords"


def test_too_many_words_are_refused():
    with pytest.raises(InvalidArgument, match="have 65 words, expected at most 64"):
        parse_keywords(" ".join(f"w{i}" for i in range(MAX_KEYWORDS + 1)))


def test_a_phrase_is_consecutive_words_with_any_punctuation_between(index):
    assert matching(index, '"red car"') == [0, 1, 6]
    assert matching(index, '"car red"') == [3, 8]
    assert matching(index, '"red red car"') == [1]
    assert matching(index, '"red"') == [0, 1, 3, 5, 6, 8, 9]
    assert matching(index, '"red zebra"') == []


def test_a_phrase_does_not_cross_captions(index):
    # 8 ends with red, 9 is red, 10 is car
    assert matching(index, '"red red"') == [1]
    assert 9 not in matching(index, '"red car"')


def test_excluded_words_and_phrases_exclude_rows(index):
    assert matching(index, "car -red") == [2, 4, 7, 10]
    assert matching(index, 'red -"red car"') == [2, 3, 4, 5, 7, 8, 9, 10]


def test_scores_match_bm25(index):
    scores = index.scores(parse_keywords("boat red"))
    lengths = [3, 4, 0, 2, 0, 8, 2, 2, 3, 1, 1]
    mean = sum(lengths) / 11
    idf_boat = math.log(1 + (11 - 1 + 0.5) / 1.5)
    idf_red = math.log(1 + (11 - 7 + 0.5) / 7.5)

    def share(times, row):
        return times * (K1 + 1) / (times + K1 * (1 - B + B * lengths[row] / mean))

    expected = np.zeros(11)
    for row, times in {0: 1, 1: 2, 3: 1, 5: 1, 6: 1, 8: 1, 9: 1}.items():
        expected[row] += idf_red * share(times, row)
    expected[5] += idf_boat * share(1, 5)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_rows_are_ranked_by_score_then_by_id(index):
    everything = index.rank(parse_keywords("red"), 20, None)
    assert everything.tolist() == [9, 1, 3, 6, 0, 8, 5]
    assert index.rank(parse_keywords("red"), 3, None).tolist() == [9, 1, 3]
    allowed = np.ones(11, np.bool_)
    allowed[[9, 3]] = False
    assert index.rank(parse_keywords("red"), 3, allowed).tolist() == [1, 6, 0]


def test_the_index_is_built_once_and_read_later(made):
    KeywordIndex(Store(made))
    files = sorted((made / "indexes" / "keywords").iterdir())
    assert [file.name for file in files] == ["00000", "00001"]
    before = [file.stat().st_mtime_ns for file in files]
    assert matching(KeywordIndex(Store(made)), '"red car"') == [0, 1, 6]
    assert [file.stat().st_mtime_ns for file in files] == before


def test_only_an_added_part_is_indexed(made, make_parts, build, tmp_path):
    KeywordIndex(Store(made))
    first = made / "indexes" / "keywords" / "00000"
    before = first.stat().st_mtime_ns
    captions = [*CAPTIONS[:6], *CAPTIONS[6:], "red car"]
    thirds = {0: captions[:6], 1: captions[6:11], 2: captions[11:]}
    source = make_parts(6, 5, 1, folder="more", columns=lambda n, _: {"caption": thirds[n]})
    build(source, tmp_path / "grown")
    (made / "indexes").rename(tmp_path / "grown" / "indexes")
    grown = KeywordIndex(Store(tmp_path / "grown"))
    assert matching(grown, '"red car"') == [0, 1, 6, 11]
    assert (tmp_path / "grown" / "indexes" / "keywords" / "00000").stat().st_mtime_ns == before


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_changed_byte_is_an_error(made, place):
    KeywordIndex(Store(made))
    path = made / "indexes" / "keywords" / "00001"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        (DamagedFile, UnsupportedFormat), match=r"00001 (is damaged|has format|is no)"
    ):
        KeywordIndex(Store(made))


@pytest.mark.parametrize("kept", [0, 10, 100, -1])
def test_a_truncated_file_is_an_error(made, kept):
    KeywordIndex(Store(made))
    path = made / "indexes" / "keywords" / "00000"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedFile, match="00000 is damaged"):
        KeywordIndex(Store(made))


def test_a_file_of_other_captions_is_built_again(made):
    KeywordIndex(Store(made))
    folder = made / "indexes" / "keywords"
    (folder / "00000").write_bytes((folder / "00001").read_bytes())
    assert matching(KeywordIndex(Store(made)), '"red car"') == [0, 1, 6]


def test_a_collection_without_captions_is_an_error(make_parts, build, tmp_path):
    build(make_parts(2, columns={"url": ["a", "b"]}), tmp_path / "c")
    with pytest.raises(InvalidArgument, match="has no column caption; it has url"):
        pairdex.open(tmp_path / "c").search(like=0, keywords="a")
