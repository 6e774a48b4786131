"""Text searches that are fused with captions: which words choose captions, and the fusion by hand."""

import numpy as np
import pytest

import pairdex
from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.errors import InvalidArgument
from pairdex.knn.cosine import Neighbours, Report
from pairdex.search.caption_words import MAX_COMPARED, caption_words, fuse_captions
from pairdex.search.hybrid import VECTOR_DEPTH
from pairdex.store.store import Store

WORDS = ["red", "car", "tree", "boat"]


@pytest.fixture
def captioned(make_parts, build, tmp_path):
    """40 rows: "this" in every caption, one of WORDS in a tenth each, "red car" and "old car" in a row each."""
    captions = [f"this {WORDS[i // 4] if i < 16 else 'x' + str(i)}" for i in range(40)]
    captions[20], captions[21], captions[22] = "This RED-car!", "the old car", None
    build(make_parts(40, columns={"caption": captions}), tmp_path / "captioned")
    return tmp_path / "captioned"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("car", ("car",)),
        ("a photo of a Car", ("car",)),
        ("red car", ("red", "car")),
        ("car, red. Car", ("car", "red")),
        ("this tree", ("tree",)),  # `this` is a function word
        ("red tree", ()),  # each occurs, but not together
        ("car quokka", ()),
        ("a photo of the", ()),
        ("", ()),
        ("!?", ()),
        ("\ud800 boat", ("boat",)),
        ("boat " + " ".join(map(str, range(100))), ()),
    ],
)
def test_the_words_of_a_text_that_captions_contain_together(captioned, text, words):
    assert caption_words(KeywordIndex(Store(captioned)), text) == words


def test_words_of_most_captions_count_only_if_no_others_remain(make_parts, build, tmp_path):
    captions = [f"dog {'brown' if i == 3 else i}" for i in range(40)]
    build(make_parts(40, columns={"caption": captions}), tmp_path / "dogs")
    index = KeywordIndex(Store(tmp_path / "dogs"))
    assert caption_words(index, "brown dog") == ("brown",)
    assert caption_words(index, "dog") == ("dog",)


def nearest_in(order, distances):
    def nearest(count, among):
        ids = [i for i in order if among[i]][:count]
        found = np.array([ids + [-1] * (count - len(ids))])
        far = np.array([[distances[i] if i >= 0 else np.inf for i in found[0]]])
        return Neighbours(found, far, Report(0, 0, 0))

    return nearest


def test_the_fusion_is_that_worked_out_by_hand():
    order = [4, 2, 0, 1, 3]
    distances = dict(zip(order, [0.1, 0.2, 0.3, 0.4, 0.5], strict=True))
    among = np.array([False, True, True, False, False])
    near = np.array(order), np.array(list(distances.values()))
    fused, found = fuse_captions(*near, among, nearest_in(order, distances), 4)
    # 2: 1/62 + 1/61; 1: 1/64 + 1/62; 4: 1/61; 0: 1/63
    assert fused.ids.tolist() == [2, 1, 4, 0]
    assert fused.scores.tolist() == [1 / 62 + 1 / 61, 1 / 64 + 1 / 62, 1 / 61, 1 / 63]
    assert fused.vector_ranks.tolist() == [2, 4, 1, 3]
    assert fused.keyword_ranks.tolist() == [1, 2, 0, 0]
    assert found.tolist() == [0.2, 0.4, 0.1, 0.3]


@pytest.fixture
def ranked():
    rng = np.random.default_rng(4)
    order = rng.permutation(600)
    distances = dict(zip(order.tolist(), np.arange(600) / 600, strict=True))
    return order, distances, rng.random(600) < 0.2


def test_a_row_that_only_the_words_find_comes_before_the_nearest(ranked):
    order, distances, _ = ranked
    among = np.zeros(600, np.bool_)
    among[order[500]] = True
    near = order[:VECTOR_DEPTH], np.array([distances[i] for i in order[:VECTOR_DEPTH]])
    fused, _ = fuse_captions(*near, among, nearest_in(order, distances), 3)
    assert fused.ids.tolist() == [order[500], order[0], order[1]]
    assert fused.vector_ranks.tolist() == [0, 1, 2]


def test_the_order_does_not_depend_on_how_many_rows_are_asked_for(ranked):
    order, distances, among = ranked

    def first(count):
        depth = max(VECTOR_DEPTH, count)
        near = order[:depth], np.array([distances[i] for i in order[:depth]])
        return fuse_captions(*near, among, nearest_in(order, distances), count)[0]

    whole = first(600)
    assert sorted(whole.ids.tolist()) == list(range(600))
    for count in (1, 10, 99, 100, 101, 300):
        some = first(count)
        assert some.ids.tolist() == whole.ids[:count].tolist()
        assert some.scores.tolist() == whole.scores[:count].tolist()
        assert some.vector_ranks.tolist() == whole.vector_ranks[:count].tolist()


def test_very_common_words_only_lift_near_rows():
    rows = 2 * MAX_COMPARED + 2
    among = np.arange(rows) % 2 == 0
    near = np.array([1, 3, 8, 5]), np.array([0.1, 0.2, 0.3, 0.4])
    fused, _ = fuse_captions(*near, among, None, 4)
    assert fused.ids.tolist() == [8, 1, 3, 5]


class Encoder:
    """Encodes every text as one direction."""

    def encode_texts(self, texts):
        return np.stack([np.eye(1, 8, dtype=np.float32)[0]] * len(texts))


@pytest.fixture
def c(captioned):
    opened = pairdex.open(captioned)
    vars(opened.finder)["encoder"] = Encoder()
    return opened


def test_a_text_search_is_fused_and_says_so(c):
    found = c.search("red car", k=5)
    assert (found.report.method, found.report.words) == ("hybrid", ("red", "car"))
    assert not found.report.certified
    assert found.ids[0] == 20
    scores = found["fused_score"].to_pylist()
    assert scores == sorted(scores, reverse=True)
    plain = c.search("red car", k=40, hybrid=False)
    assert (plain.report.method, plain.report.certified) == ("vectors", True)
    assert "fused_score" not in plain.table.column_names
    rank = plain.ids.tolist().index(20) + 1
    assert found["vector_rank"][0].as_py() == rank
    assert found.distances[0] == plain.distances[rank - 1]


def test_words_that_no_caption_contains_change_nothing(c):
    assert c.search("quokka", k=40).table.equals(c.search("quokka", k=40, hybrid=False).table)


def test_filters_removed_rows_and_folding_hold(c, run):
    assert 20 not in c.search("red car", where="id != 20", k=40).ids
    assert c.search("red car", fold=0.5, k=2)["folded"] is not None
    assert run("remove", c.path, "--where", "id = 20", "--reason", "test").status == 0
    assert 20 not in c.search("red car", k=40).ids


def test_several_texts_are_each_fused(c):
    found = c.search(["red car", "old car", "quokka"], k=3)
    assert [hits.report.method for hits in found] == ["hybrid", "hybrid", "vectors"]
    assert [hits.ids[0] for hits in found[:2]] == [20, 21]


def test_keywords_and_no_hybrid_contradict_each_other(c):
    with pytest.raises(InvalidArgument, match="leave out one"):
        c.search("car", keywords="red", hybrid=False)


def test_nothing_is_written_without_codes(captioned, tree):
    before = tree(captioned)
    opened = pairdex.open(captioned, use_codes=False)
    vars(opened.finder)["encoder"] = Encoder()
    assert opened.search("red car", k=1).ids[0] == 20
    assert tree(captioned) == before


def test_a_large_collection_without_codes_says_that_captions_are_not_indexed(
    captioned, monkeypatch
):
    monkeypatch.setattr("pairdex.search.captions.AT_ONCE_ROWS", 10)
    opened = pairdex.open(captioned, use_codes=False)
    vars(opened.finder)["encoder"] = Encoder()
    found = opened.search("red car", k=1)
    assert found.report.method == "vectors"
    assert "captions are not indexed yet" in found.report.note


def test_a_damaged_index_of_captions_is_reported_and_vectors_answer(c, captioned):
    c.prepare_keywords()
    file = captioned / "indexes" / "keywords" / "00000"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    opened = pairdex.open(captioned)
    vars(opened.finder)["encoder"] = Encoder()
    found = opened.search("red car", k=3)
    assert found.report.method == "vectors"
    assert "vectors alone answered" in found.report.note
    assert "keywords/00000" in found.report.note


def test_columns_named_as_those_that_explain_the_order_are_kept(make_parts, build, tmp_path):
    columns = {"caption": ["red car"] * 3, "keyword_rank": [7, 8, 9]}
    build(make_parts(3, columns=columns), tmp_path / "named")
    opened = pairdex.open(tmp_path / "named")
    vars(opened.finder)["encoder"] = Encoder()
    found = opened.search("red car", k=3)
    assert sorted(found["keyword_rank"].to_pylist()) == [1, 2, 3]
    assert sorted(found["stored_keyword_rank"].to_pylist()) == [7, 8, 9]


def test_index_makes_the_look_up_of_words(captioned):
    pairdex.index(captioned)
    assert [each.name for each in pairdex.info(captioned).derived if each.kind == "keywords"]
    assert (captioned / "indexes" / "keywords" / "00000").exists()
