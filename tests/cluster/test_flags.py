"""Flags of rows come back from their packed form."""

import numpy as np
import pytest

from pairdex.cluster.flags import PackedFlags


@pytest.mark.parametrize("share", [0, 0.001, 0.03, 0.5, 1])
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 1003])
def test_flags_come_back_from_few_bytes(rows, share):
    flags = np.random.default_rng(rows).random(rows) < share
    packed = PackedFlags.of(flags)
    np.testing.assert_array_equal(packed.unpacked(), flags)
    (content,) = [one for one in (packed.places, packed.bits) if one is not None]
    assert content.nbytes <= rows / 8 + 1
