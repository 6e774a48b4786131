"""BinWalk sketches equal the definition in exact arithmetic, bit for bit."""

from fractions import Fraction

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.derived.projections import binwalk
from pairdex.derived.projections.binwalk import BinWalk, draw_pool, exact_dot
from pairdex.derived.projections.files import open_projection
from pairdex.derived.projections.models import read_model
from pairdex.derived.projections.rows import unit_rows
from pairdex.errors import DamagedFile, InvalidArgument, UnsupportedFormat
from pairdex.store.store import Store

MODEL = "binwalk-model-nrefs=1024-permsize=64.jld2"


def twin(refs, pool, row):
    """The literal definition in fractions: d(ref, v) = 1 - dot."""
    v = [Fraction(float(x)) for x in row]
    d = [1 - sum(Fraction(float(a)) * b for a, b in zip(ref, v, strict=True)) for ref in refs]
    words = []
    for i in range(16):
        word = 0
        for j in range(64):
            here, after = pool[i][j] - 1, pool[i][(j + 1) % 64] - 1
            word |= int(d[here] < d[after]) << j
        words.append(word)
    return words


def small_model(dim=4, seed=1, duplicates=0):
    rng = np.random.default_rng(seed)
    refs = unit_rows(rng.standard_normal((1024, dim)))
    refs[:duplicates] = refs[duplicates : 2 * duplicates]
    return BinWalk(refs, draw_pool(rng))


def test_bits_match_the_definition():
    model = small_model(duplicates=300)
    rows = np.random.default_rng(2).standard_normal((20, 4)).astype(np.float16)
    expected = [twin(model.refs, model.pool, row) for row in rows]
    np.testing.assert_array_equal(model.apply(rows), np.array(expected, np.uint64))


def test_ties_and_near_ties_are_decided_as_in_exact_arithmetic(monkeypatch):
    exact_sums = []
    monkeypatch.setattr(
        binwalk,
        "exact_dot",
        lambda *vectors: exact_sums.append(exact_dot(*vectors)) or exact_sums[-1],
    )
    model = small_model(seed=3)
    refs, pool = model.refs.copy(), np.arange(1, 1025, dtype=np.int32).reshape(16, 64)
    for ref in range(0, 64, 2):  # pairs whose products with a row of ones differ by 2^-70 or -2^-70
        refs[ref] = (0.5, 0.25, (-1) ** (ref // 2) * 2.0**-70, 0.125)
        refs[ref + 1] = (0.25, 0.5, 0, 0.125)
    step = (
        refs[128:140].astype(np.float64) - refs[129:141]
    )  # rows orthogonal to the step: nearly a tie
    near = (step[:, [1, 0, 3, 2]] * [-1, 1, -1, 1]).astype(np.float32)
    rows = np.concatenate([near, np.ones((1, 4), np.float32), np.full((1, 4), 1e30, np.float32)])
    model = BinWalk(refs, pool)
    expected = [twin(model.refs, model.pool, row) for row in rows]
    np.testing.assert_array_equal(model.apply(rows), np.array(expected, np.uint64))
    assert len(exact_sums) >= 64
    assert set(np.sign(exact_sums)) >= {-1, 1}
    assert 0 < min(map(abs, exact_sums)) < 2.0**-69


def test_neither_the_length_of_a_row_nor_other_rows_change_its_bits():
    model = small_model(dim=16)
    rows = np.random.default_rng(4).standard_normal((300, 16)).astype(np.float32)
    whole = model.apply(rows)
    np.testing.assert_array_equal(np.concatenate([model.apply(row[None]) for row in rows]), whole)
    for factor in (2.0**-120, 2.0**100):
        np.testing.assert_array_equal(model.apply(rows * np.float32(factor)), whole)


def test_the_organisers_model_is_read_and_its_bits_match_the_definition(real_data):
    model, fit = read_model(real_data / MODEL)
    assert fit is None
    assert (model.refs.shape, model.pool.shape) == ((1024, 768), (16, 64))
    np.testing.assert_allclose(np.linalg.norm(model.refs, axis=1), 1, atol=1e-6)
    rng = np.random.default_rng(5)
    pairs = rng.integers(0, 1024, (200, 2))
    rows = (model.refs[pairs[:, 0]] + 0.7 * model.refs[pairs[:, 1]]).astype(np.float16)
    sketches = model.apply(rows)
    np.testing.assert_array_equal(
        sketches[0], np.array(twin(model.refs, model.pool, rows[0]), np.uint64)
    )
    # The other bits in float64, which decides all but ties within 1e-12.
    near = rows.astype(np.float64) @ model.refs.T.astype(np.float64)
    here = near[:, model.pool - 1]
    lead = here - np.roll(here, -1, axis=2)
    bits = np.unpackbits(sketches.view(np.uint8), axis=1, bitorder="little").reshape(-1, 16, 64)
    assert (np.abs(lead) > 1e-12).all()
    np.testing.assert_array_equal(bits.astype(bool), lead > 0)


def test_a_collection_is_sketched_with_the_organisers_model(real_data, write_part, build, tmp_path):
    image = np.random.default_rng(6).standard_normal((30, 768)).astype(np.float16)
    write_part(tmp_path / "parts", 0, image, None, {"url": ["u"] * 30})
    build(tmp_path / "parts", tmp_path / "c")
    report = pairdex.project(tmp_path / "c", "hamming", model=real_data / MODEL)
    projection = open_projection(Store(tmp_path / "c"), "hamming")
    assert (report.method, report.dim, report.fit_rows) == ("binwalk", 1024, None)
    assert projection.blocks[0].dtype == np.uint64
    model, _ = read_model(real_data / MODEL)
    np.testing.assert_array_equal(projection.blocks[0], model.apply(image))
    # Neither repeating the command nor using the saved model changes anything.
    assert pairdex.project(tmp_path / "c", "hamming", model=real_data / MODEL).projected == 0
    saved = tmp_path / "c/projections/hamming/model.h5"
    assert pairdex.project(tmp_path / "c", "hamming", model=saved).projected == 0


@pytest.fixture
def larger(make_parts, build, tmp_path):
    build(make_parts(900, 300), tmp_path / "large")
    return tmp_path / "large"


def test_a_model_draws_1024_rows_as_references_by_the_seed(larger):
    report = pairdex.project(larger, "hamming", method="binwalk", seed=7)
    model = open_projection(Store(larger), "hamming").model
    rows = unit_rows(Store(larger).vectors("image")[:])
    assert (report.method, report.fit_rows) == ("binwalk", 1200)
    assert {row.tobytes() for row in model.refs} <= {row.tobytes() for row in rows}
    assert sorted(model.pool.reshape(-1)) == list(range(1, 1025))
    refs = model.refs.copy()
    assert pairdex.project(larger, "hamming", seed=7).projected == 0
    assert pairdex.project(larger, "hamming", method="binwalk", seed=8).projected == 1200
    assert not np.array_equal(open_projection(Store(larger), "hamming").model.refs, refs)


def test_fewer_than_1024_rows_are_refused(collection):
    with pytest.raises(
        InvalidArgument, match=r"needs 1,024 rows as references, .* has 60; name a model"
    ):
        pairdex.project(collection, "hamming", method="binwalk")
    assert not (collection / "projections").exists()


def test_removed_rows_are_not_references(larger):
    pairdex.remove(larger, ids=range(150), reason="test")
    pairdex.project(larger, "hamming", method="binwalk")
    model = open_projection(Store(larger), "hamming").model
    removed = {row.tobytes() for row in unit_rows(Store(larger).vectors("image")[:150])}
    assert removed.isdisjoint(row.tobytes() for row in model.refs)


def test_a_file_with_refs_and_pool_is_a_model_and_other_arrays_are_refused(tmp_path):
    model = small_model()
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["refs"], file["pool"] = model.refs, model.pool
    read, _ = read_model(tmp_path / "plain.h5")
    np.testing.assert_array_equal(read.pool, model.pool)
    with h5py.File(tmp_path / "twice.h5", "w") as file:
        file["refs"], file["pool"] = model.refs, np.ones((16, 64), np.int32)
    with pytest.raises(DamagedFile, match="expected a permutation of 1 to 1024"):
        read_model(tmp_path / "twice.h5")
    with h5py.File(tmp_path / "few.h5", "w") as file:
        file["refs"], file["pool"] = model.refs[:64], model.pool
    with pytest.raises(DamagedFile, match=r"refs have shape \(64, 4\)"):
        read_model(tmp_path / "few.h5")
    with h5py.File(tmp_path / "model.jld2", "w") as file:
        file["model"] = np.zeros(3)
    with pytest.raises(UnsupportedFormat, match="is not the model of a projection"):
        read_model(tmp_path / "model.jld2")
