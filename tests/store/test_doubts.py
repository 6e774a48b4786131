"""What speaks against a part is said before anything is built."""

import numpy as np
import pytest

from pairdex.errors import Mismatch

ROWS, DIM = 200, 32


def released(scale=0.3, seed=5):
    """Image and text vectors whose cosines vary about `scale`, as those of pictures and captions do."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((ROWS, DIM))
    text = scale * image + rng.standard_normal((ROWS, DIM))
    similarity = np.sum(image * text, axis=1) / (
        np.linalg.norm(image, axis=1) * np.linalg.norm(text, axis=1)
    )
    return image.astype(np.float16), text.astype(np.float16), similarity


@pytest.fixture
def part(tmp_path, write_part):
    """Write a part with these similarities and return its folder."""

    def write(similarity):
        image, text, _ = released()
        columns = {"url": [f"u{row}" for row in range(ROWS)], "similarity": similarity}
        write_part(tmp_path / "parts", 0, image, text, columns)
        return tmp_path / "parts"

    return write


ORDERS = {
    "reversed": lambda values: values[::-1],
    "shuffled": lambda values: np.random.default_rng(1).permutation(values),
    "moved by one": lambda values: np.roll(values, 1),
    "as text": lambda values: [f"{value:.6f}" for value in values[::-1]],
    "with missing ones": lambda values: np.where(np.arange(ROWS) % 3, values[::-1], np.nan),
}


@pytest.mark.parametrize("order", ORDERS)
def test_metadata_in_another_order_is_refused_before_anything_is_built(
    part, build, tmp_path, order
):
    source = part(ORDERS[order](released()[2]))
    told = (
        r"metadata_0\.parquet does not belong to img_emb_0\.npy row by row: the similarity of row"
    )
    with pytest.raises(Mismatch, match=told):
        build(source, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_metadata_of_other_rows_of_the_same_release_is_refused(part, build, tmp_path):
    with pytest.raises(Mismatch, match="the rows are in another order: fetch part 0 again"):
        build(part(released(seed=6)[2]), tmp_path / "c")


ORDERLY = {
    "as they are": lambda values: values,
    "rounded": lambda values: np.round(values, 2),
    "of another model": lambda values: (
        0.5 * values + 0.3 + np.random.default_rng(1).normal(0, 0.05, ROWS)
    ),
    "all the same": lambda _: np.full(ROWS, 0.3),
    "missing": lambda _: np.full(ROWS, np.nan),
    "of something else": lambda _: 0.3 + np.arange(ROWS) / 1000,
}


@pytest.mark.parametrize("order", ORDERLY)
def test_similarities_that_may_be_of_these_rows_are_taken(part, build, tmp_path, order):
    report = build(part(ORDERLY[order](released()[2])), tmp_path / "c")
    assert (report.rows, report.notes) == (ROWS, [])


TAGS = {
    "lower case": (["nsfw", "unlikely", "unsure", None], "has nsfw, unlikely, unsure:"),
    "truth values": ([True, False, True, None], "has false, true:"),
    "probabilities": ([0.1, 0.2, 0.3, 0.4], "has 0.1, 0.2, 0.3, 0.4:"),
    "many": ([str(n) for n in range(8)], r"has 0, 1, 2, 3, 4, \.\.\.:"),
    "one in other letters": (["UNLIKELY", "NSFW", "Nsfw ", None], "has Nsfw :"),
}


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("rule", ["safe", "sisap", "sisap-dev"])
def test_a_safety_rule_on_other_words_is_refused_with_the_values(
    make_parts, build, tmp_path, tags, rule
):
    values, told = TAGS[tags]
    source = make_parts(len(values), columns={"NSFW": values})
    with pytest.raises(Mismatch, match=f"the NSFW rule {rule} knows the tags .* NSFW of .* {told}"):
        build(source, tmp_path / "c", nsfw=rule)
    assert not (tmp_path / "c").exists()
    assert build(source, tmp_path / "c").rows == len(values)


def test_every_part_is_looked_at_for_other_words(make_parts, build, tmp_path):
    make_parts(4, columns={"NSFW": ["UNLIKELY"] * 4})
    source = make_parts(4, numbers=[1], columns={"NSFW": ["unlikely"] * 4})
    with pytest.raises(Mismatch, match=r"NSFW of metadata_1\.parquet has unlikely"):
        build(source, tmp_path / "c", nsfw="sisap")


@pytest.mark.parametrize("values", [[None, None], ["UNLIKELY", "UNKNOWN"], ["NSFW", ""]])
def test_laions_words_with_others_or_none_are_taken(make_parts, build, tmp_path, values):
    source = make_parts(2, columns={"NSFW": values})
    assert build(source, tmp_path / "c", nsfw="sisap-dev").rows_read == 2
