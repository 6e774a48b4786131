"""SISAP's subsets: the parts and the rule that the page says, and what is missing or differs is told."""

import numpy as np
import pytest

from pairdex.errors import InvalidArgument, MissingFile
from pairdex.parts.subsets import SUBSETS
from pairdex.store.plan import selection_of
from pairdex.store.store import Store


def one_row(number, rows):
    tags = ["UNLIKELY", "NSFW", None, "UNSURE"]
    return {"caption": [f"{number}"] * rows, "NSFW": [tags[row % 4] for row in range(rows)]}


@pytest.fixture
def parts(make_parts):
    """Four rows of each of the parts 0 to 34, all but the second and third to be kept."""
    return make_parts(*[4] * 35, dim=2, text=False, layout="laion2b", columns=one_row)


@pytest.mark.parametrize(
    ("name", "numbers", "rule", "limit"),
    [
        ("sisap-100K", [1], "sisap-dev", 100_000),
        ("sisap-300K", [1], "sisap-dev", 300_000),
        ("sisap-10M", range(1, 12), "sisap", None),
        ("sisap-30M", range(1, 34), "sisap", None),
        ("sisap-100M", range(1, 112), "sisap", None),
    ],
)
def test_a_subset_has_the_parts_and_the_rule_of_the_page(name, numbers, rule, limit):
    selection = selection_of(subset=name)
    assert (selection.parts, selection.nsfw, selection.limit) == (frozenset(numbers), rule, limit)


def test_a_subset_is_built_of_its_parts_in_order(parts, tmp_path, run):
    done = run("build", parts, tmp_path / "c", "--subset", "sisap-10M", "--json")
    store = Store(tmp_path / "c")
    table = store.take(np.arange(store.rows))
    assert table["part"].to_pylist() == [n for n in range(1, 12) for _ in range(2)]
    assert table["nsfw"].to_pylist() == ["UNLIKELY", "UNSURE"] * 11
    assert done.json["notes"] == [
        "sisap-10M has 10,120,191 rows in the organisers' file, this collection has 22: "
        "its parts are not those that they took"
    ]
    more = run("build", parts, tmp_path / "c", "--subset", "sisap-30M", "--json").json
    assert (more["rows"], more["added"], more["notes"]) == (66, 44, [])


def test_a_development_subset_keeps_untagged_rows_and_says_what_is_not_known(parts, tmp_path, run):
    done = run("build", parts, tmp_path / "c", "--subset", "sisap-100K", "--json").json
    assert Store(tmp_path / "c").take(np.arange(3))["row"].to_pylist() == [0, 2, 3]
    assert "says neither which parts nor which rows" in done["notes"][0]
    assert done["notes"][1].startswith("sisap-100K has 100,000 rows in the organisers' file")


def test_filter_and_limit_narrow_a_subset_further(parts, tmp_path, run):
    more = ("--where", "part > 3", "--limit", 5)
    done = run("build", parts, tmp_path / "c", "--subset", "sisap-10M", *more, "--json").json
    assert Store(tmp_path / "c").take(np.arange(5))["part"].to_pylist() == [4, 4, 5, 5, 6]
    assert done["notes"] == []


def test_missing_parts_are_named_with_the_way_to_get_them(parts, tmp_path, run):
    (parts / "img_emb" / "img_emb_0003.npy").unlink()
    told = run("build", parts, tmp_path / "c", "--subset", "sisap-10M").complaint
    assert told == (
        f"sisap-10M is made of the parts 1-11 of LAION-2B-en, {parts} lacks 3: "
        f"pairdex fetch laion2b-en {parts} --parts 3"
    )
    told = run("build", parts, tmp_path / "c", "--subset", "sisap-100M").complaint
    assert f"lacks 3,35-111: pairdex fetch laion2b-en {parts} --parts 3,35-111" in told
    (parts / "laion2B-en-metadata" / "metadata_0002.parquet").unlink()
    (parts / "img_emb" / "img_emb_0003.npy").touch()
    told = run("build", parts, tmp_path / "c", "--subset", "sisap-10M").complaint
    assert "has img_emb_0002.npy but no metadata_0002.parquet; fetch it" in told
    assert not (tmp_path / "c").exists()


def test_a_bundle_is_a_subset_already(tmp_path, run):
    (tmp_path / "laion2B-en-clip768v2-n=10M.h5").write_bytes(b"")
    for source in (tmp_path, tmp_path / "laion2B-en-clip768v2-n=10M.h5"):
        with pytest.raises(InvalidArgument, match="holds a bundle, which is a subset already"):
            SUBSETS["sisap-10M"].check_source(source)
    with pytest.raises(MissingFile, match="lacks 1-11"):
        SUBSETS["sisap-10M"].check_source(tmp_path / "absent")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"parts": frozenset({1})}, "sisap-10M says which parts and which NSFW rule; drop --parts"),
        ({"nsfw": "none"}, "sisap-10M says which parts and which NSFW rule; drop --nsfw"),
    ],
)
def test_a_subset_goes_with_no_parts_or_rule_of_ones_own(options, told):
    with pytest.raises(InvalidArgument, match=told):
        selection_of(subset="sisap-10M", **options)


def test_an_unknown_subset_is_refused(run):
    with pytest.raises(
        InvalidArgument, match="the subset is 'sisap-1M', expected one of sisap-100K"
    ):
        selection_of(subset="sisap-1M")
    assert run("build", "parts", "c", "--subset", "sisap-1M").status == 2
