"""The four NSFW rules, by the names under which the field's data sets were made."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["DEFAULT_RULE", "RULES", "WORDS", "NsfwRule", "kept"]

NsfwRule = Literal["none", "safe", "sisap", "sisap-dev"]
RULES: tuple[NsfwRule, ...] = get_args(NsfwRule)
DEFAULT_RULE: NsfwRule = "none"
WORDS = frozenset({"UNLIKELY", "UNSURE", "NSFW"})  # LAION's tags; case matters


def kept(rule: NsfwRule, nsfw: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return which rows a rule keeps, given their NSFW tags.

    `sisap` keeps what has a tag other than NSFW (the 10M, 30M and 100M subsets), `sisap-dev` also
    what has none (100K, 300K), `safe` only UNLIKELY, `none` everything (TFDS, ClickHouse's tutorial).
    """
    if rule == "none":
        return np.ones(len(nsfw), np.bool_)
    if rule == "safe":
        mask = pc.fill_null(pc.equal(nsfw, "UNLIKELY"), False)
    else:
        mask = pc.fill_null(pc.not_equal(nsfw, "NSFW"), rule == "sisap-dev")
    return np.asarray(mask, np.bool_)
