"""Bits are packed as in SISAP sketches."""

import numpy as np

from pairdex.derived.projections.bits import packed


def test_flags_fill_each_word_from_the_least_significant_bit():
    flags = np.zeros((5, 1024), bool)
    for row, bit in enumerate((0, 1, 63, 64, 1023)):
        flags[row, bit] = True
    words = packed(flags)
    assert (words.dtype, words.shape) == (np.dtype("<u8"), (5, 16))
    expected = np.zeros((5, 16), np.uint64)
    expected[0, 0], expected[1, 0], expected[2, 0] = 1, 2, 1 << 63
    expected[3, 1], expected[4, 15] = 1, 1 << 63
    np.testing.assert_array_equal(words, expected)
