"""The arithmetic of docs/scale.md, by hand, and its tables in the page."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from pairdex.ivf import quantiser
from places import ROOT

SCRIPT = ROOT / "benchmarks" / "scale_model.py"


@pytest.fixture(scope="module")
def model():
    spec = importlib.util.spec_from_file_location("scale_model", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def terms(model):
    names = model.Terms.__dataclass_fields__.keys() - {"dim", "starts"}
    return model.Terms(dim=512, **dict.fromkeys(names, 0.0))


@pytest.fixture
def plan(model):
    return model.Plan(4_000_000, 4, 2, 8 << 30, 10**12, 1e9, 1e6, "fast")


def stage(model, terms, plan, name):
    return next(each for each in model.stages(terms, plan) if each.name == name)


def test_the_training_is_that_of_the_quantiser(model):
    assert (model.ROUNDS, model.SAMPLE_PER_LIST) == (
        quantiser._ITERATIONS,
        quantiser._SAMPLE_PER_LIST,
    )


def test_an_index_takes_266_bytes_a_row_of_512_dimensions_and_half_a_group_a_list(model):
    # 510 coded coordinates, padded to 512, in half a byte each; three float16; the id.
    assert model.index_bytes(1_000_000, 512, "fast") == (1_000_000 + 4096 * 16) * (256 + 6 + 4)


def test_indexing_compares_all_rows_and_the_sample_four_times_with_all_lists(model, terms):
    terms = replace(terms, index=2.0, pair=0.5, starts={"index": 7.0})
    wanted = 7 + 2 * 10_000 + 0.5 * 100 * (10_000 + 4 * 2_400)
    assert model.index_seconds(terms, 10_000, 100) == wanted


def test_a_query_ranks_lists_scans_those_it_probes_and_compares_rows(model, terms):
    terms = replace(terms, query=1.0, scanned=0.01, compared=0.5)
    wanted = 1 + 0.01 * (100 + 3 * (1_000 + 16)) + 0.5 * 20
    assert model.query_seconds(terms, 100_000, 100, 3, 20) == pytest.approx(wanted)


def test_stages_move_the_bytes_of_both_kinds_of_vectors(model, terms, plan):
    terms = replace(terms, released_bytes=100.0, metadata_bytes=200.0, build=1e-5, transfer=1e-9)
    vectors = 2 * 2 * 512 * 4_000_000
    fetch, build = (stage(model, terms, plan, name) for name in ("fetch", "build"))
    assert fetch.moved_bytes == build.read_bytes == vectors + 100 * 4_000_000
    assert build.written_bytes == vectors + 200 * 4_000_000
    assert build.core_seconds == pytest.approx(40)
    assert build.hours(plan) == pytest.approx(40 / 8 / 3600)
    slow = replace(plan, disk_rate=1e6)
    assert build.hours(slow) == pytest.approx((build.read_bytes + build.written_bytes) / 4e6 / 3600)
    assert fetch.hours(plan) == pytest.approx(fetch.moved_bytes / 4e6 / 3600)


def test_an_index_of_each_kind_is_made_of_each_shard(model, terms, plan):
    terms = replace(terms, index=1e-3)
    index = stage(model, terms, plan, "index")
    assert index.core_seconds == pytest.approx(2 * 4_000_000 * 1e-3)
    assert index.memory_bytes == 2 * model.index_bytes(1_000_000, 512, "fast")
    assert index.written_bytes == 4 * index.memory_bytes


def test_a_fit_finds_the_factors_and_none_is_negative(model):
    features = np.random.default_rng(1).uniform(1, 10, (20, 3))
    assert model.fit(features, features @ [1.0, 2.0, 3.0]) == pytest.approx([1, 2, 3])
    found = model.fit(features, features[:, 0] * 5 - features[:, 1] * 0.1)
    assert (found >= 0).all()
    assert found[1] == 0


def test_a_query_waits_for_the_slowest_shard(model):
    times = [0.001] * 98 + [0.010] * 2
    alone = model.simulate(times, 1, 0.01, cores=4, queries=4_000)
    many = model.simulate(times, 64, 0.01, cores=4, queries=4_000)
    assert alone[0] == pytest.approx(0.001)
    assert many[0] == pytest.approx(0.010)  # one of 64 is slow with a chance of .73


def test_queries_queue_where_the_load_is_high(model):
    low, high = (
        model.simulate([0.001], 1, load, cores=1, queries=20_000, seed=3)[1] for load in (0.2, 0.8)
    )
    assert 0.001 < low < 0.003 < 0.008 < high


def test_late_answers_of_any_shard_reach_the_99th_percentile(model):
    late = {"late": 0.002, "late_seconds": 1.0}
    alone = model.simulate([0.001], 1, 0.01, cores=4, queries=5_000, **late)
    many = model.simulate([0.001], 32, 0.01, cores=4, queries=5_000, **late)
    assert alone[1] < 0.01 < 1 < many[1]


def test_failures_are_expected_by_their_rate(model):
    assert model.failures(0.05, 32, 8_760) == pytest.approx(1.6)


def cells_of(page, first):
    """The rows of the page's table whose head begins with `first`, split into cells."""
    lines = page.split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def number(text):
    return float(text.replace(",", ""))


def test_the_stages_of_the_page_follow_from_its_terms(model):
    page = (ROOT / "docs" / "scale.md").read_text()
    found = {}
    for title, _, wide in cells_of(page, "term"):
        name, _, unit = title.partition(", ")
        if unit != "once, s":
            found[name] = number(wide) * (1e-9 if unit == "ns" else 1)
    terms = model.Terms(dim=768, **found)
    plan = model.Plan(5_850_000_000, 32, 16, 128 << 30, 2 * 10**12, 1e9, 10e9 / 8)
    stages = model.stages(terms, plan)
    shown = cells_of(page, "stage")
    assert [row[0] for row in shown] == [each.name for each in stages]
    for (_, read, written, moved, hours, _), each in zip(shown, stages, strict=True):
        totals = (each.read_bytes, each.written_bytes, each.moved_bytes)
        assert [number(one) for one in (read, written, moved)] == pytest.approx(
            [one / 1e12 for one in totals], abs=0.01
        )
        assert number(hours) == pytest.approx(each.core_seconds / 3600, rel=0.01, abs=0.1)
