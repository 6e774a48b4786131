"""LAION's heads give the scores of the plain formula, and foreign or damaged files are named."""

import math

import numpy as np
import pytest

from pairdex.encoders.heads import load_head
from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat


def nsfw_tensors(dim=8, widths=(5, 3), seed=0):
    rng = np.random.default_rng(seed)
    tensors = {
        "norm__mean": rng.normal(0, 0.1, dim).astype(np.float32),
        "norm__variance": rng.uniform(0.01, 0.2, dim).astype(np.float32),
    }
    for i, width in enumerate((*widths, 1), 1):
        tensors[f"linear_{i}__weight"] = rng.normal(0, 0.5, (width, dim)).astype(np.float32)
        tensors[f"linear_{i}__bias"] = rng.normal(0, 0.5, width).astype(np.float32)
        dim = width
    return tensors


@pytest.fixture
def save(tmp_path):
    def write(tensors, name="head.npz"):
        np.savez(tmp_path / name, **tensors)
        return tmp_path / name

    return write


def plain_score(tensors, vector):
    """The NSFW head, one number at a time."""
    length = math.sqrt(sum(float(x) ** 2 for x in vector))
    values = [
        (float(x) / length - float(m)) / math.sqrt(float(v))
        for x, m, v in zip(vector, tensors["norm__mean"], tensors["norm__variance"], strict=True)
    ]
    count = sum(name.endswith("weight") for name in tensors)
    for i in range(1, count + 1):
        weight, bias = tensors[f"linear_{i}__weight"], tensors[f"linear_{i}__bias"]
        values = [
            sum(float(w) * x for w, x in zip(row, values, strict=True)) + float(b)
            for row, b in zip(weight, bias, strict=True)
        ]
        if i < count:
            values = [max(0.0, x) for x in values]
    return 1 / (1 + math.exp(-values[0]))


def test_an_nsfw_head_gives_the_score_of_the_plain_formula(save):
    tensors = nsfw_tensors()
    vectors = np.random.default_rng(1).normal(0, 3, (50, 8)).astype(np.float16)
    scores = load_head(save(tensors), "nsfw").scores(vectors)
    assert scores.dtype == np.float32
    assert np.allclose(scores, [plain_score(tensors, v) for v in vectors], rtol=1e-6, atol=0)


def test_an_aesthetic_head_is_linear_in_the_unit_vector(save):
    head = load_head(save({"weight": np.array([[3.0, 4.0]]), "bias": np.array([0.5])}), "aesthetic")
    assert head.scores(np.array([[2, 0], [0, -5]], np.float16)).tolist() == [3.5, -3.5]
    assert (head.column, head.spread(np.ones((1, 2), np.float16))) == ("aesthetic", None)


def test_names_with_dots_are_read_as_well(save):
    tensors = nsfw_tensors()
    dotted = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    x = np.ones((1, 8), np.float16)
    one, other = load_head(save(tensors), "nsfw"), load_head(save(dotted, "other.npz"), "nsfw")
    assert one.scores(x) == other.scores(x)


def test_extreme_outputs_give_zero_and_one_without_overflow(save):
    tensors = nsfw_tensors(widths=())
    tensors["linear_1__weight"] = np.full((1, 8), 1e6, np.float32)
    x = np.array([np.full(8, 1), np.full(8, -1)], np.float16)
    assert load_head(save(tensors), "nsfw").scores(x).tolist() == [1.0, 0.0]


def test_a_head_of_the_other_kind_is_refused(save):
    path = save(nsfw_tensors())
    with pytest.raises(
        UnsupportedFormat, match=r"head.npz is not a linear aesthetic head: it holds"
    ):
        load_head(path, "aesthetic")
    path = save({"weight": np.ones((1, 8)), "bias": np.ones(1)})
    with pytest.raises(
        UnsupportedFormat, match="not an NSFW head: it holds bias, weight, expected"
    ):
        load_head(path, "nsfw")


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("linear_2__weight", np.ones((3, 4)), r"layer 2 has a weight of \(3, 4\)"),
        ("linear_2__bias", np.ones(2), r"expected \(n, 5\) and \(n,\)"),
        ("linear_3__weight", np.ones((2, 3)), "layer 3 has a weight"),
        ("norm__variance", np.zeros(8), "not a mean and a positive variance"),
        ("norm__mean", np.full(8, np.nan), "norm.mean has a value that is not finite"),
    ],
)
def test_tensors_that_do_not_fit_each_other_are_named(save, name, tensor, words):
    with pytest.raises(DamagedFile, match=words):
        load_head(save(nsfw_tensors() | {name: tensor}), "nsfw")


def test_a_last_layer_of_two_outputs_is_refused(save):
    tensors = nsfw_tensors() | {"linear_3__weight": np.ones((2, 3)), "linear_3__bias": np.ones(2)}
    with pytest.raises(DamagedFile, match="its last layer has 2 outputs, expected 1 score"):
        load_head(save(tensors), "nsfw")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(DamagedFile, match=r"not the \.npz of a head"):
        load_head(tmp_path / "head.npz", "nsfw")


def test_a_plain_array_or_pickled_objects_are_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "objects.npz", weight=np.array([{}], object), bias=np.ones(1))
    for name in ("array.npy", "objects.npz"):
        with pytest.raises(DamagedFile, match=r"not the \.npz of a head"):
            load_head(tmp_path / name, "nsfw")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"none.npz does not exist"):
        load_head(tmp_path / "none.npz", "nsfw")


def test_laions_heads_give_most_photographs_a_low_score_and_know_their_model(real_data):
    head = load_head(real_data / "heads" / "laion_nsfw_head_ViT-B-32.npz", "nsfw")
    images = np.load(real_data / "clip_b32_images.npy", mmap_mode="r")[:4000]
    scores = head.scores(images)
    assert np.median(scores) < 0.01
    assert ((scores >= 0) & (scores <= 1)).all()
    assert head.spread(images) < 2
    others = np.load(real_data / "cnclip_b16_images.npy", mmap_mode="r")[:1000]
    assert head.spread(others) > 2


def test_laions_aesthetic_head_gives_photographs_scores_of_its_scale(real_data):
    head = load_head(real_data / "heads" / "laion_aesthetic_linear_vit_b_32.npz", "aesthetic")
    images = np.load(real_data / "clip_b32_images.npy", mmap_mode="r")[:4000]
    low, middle, high = np.percentile(head.scores(images), [1, 50, 99])
    assert 2 < low < middle < high < 9
