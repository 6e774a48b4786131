"""The NSFW rules, case by case."""

import pyarrow as pa
import pytest

from pairdex.parts.nsfw import RULES, kept

TAGS = ["UNLIKELY", "UNSURE", "NSFW", None, "", "nsfw", "NSFW ", "?"]
KEPT = {
    "none": [True, True, True, True, True, True, True, True],
    "safe": [True, False, False, False, False, False, False, False],
    "sisap": [True, True, False, False, True, True, True, True],
    "sisap-dev": [True, True, False, True, True, True, True, True],
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_keeps_what_the_subsets_of_its_name_have(rule):
    mask = kept(rule, pa.chunked_array([TAGS[:3], TAGS[3:]], pa.string()))
    assert mask.tolist() == KEPT[rule]


@pytest.mark.parametrize(
    ("rule", "keeps"), [("none", True), ("safe", False), ("sisap", False), ("sisap-dev", True)]
)
def test_rows_that_are_all_untagged_are_decided_by_the_rule(rule, keeps):
    assert kept(rule, pa.chunked_array([pa.nulls(3, pa.string())])).tolist() == [keeps] * 3


@pytest.mark.parametrize("rule", RULES)
def test_no_rows_give_an_empty_mask(rule):
    mask = kept(rule, pa.chunked_array([], pa.string()))
    assert mask.dtype == bool
    assert len(mask) == 0
