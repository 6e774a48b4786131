"""The cache of masks: limited in size, read-only."""

import numpy as np
import pytest

from pairdex.store.mask_cache import MaskCache
from pairdex.store.store import Store


def mask(rows):
    return np.ones(rows, np.bool_)


def test_the_least_recently_used_mask_is_evicted_first():
    cache = MaskCache(max_bytes=20)
    for where in ("a", "b"):
        cache.keep(where, mask(10))
    assert cache.get("a") is not None
    cache.keep("c", mask(10))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None


def test_a_mask_larger_than_the_cache_is_returned_but_not_kept():
    cache = MaskCache(max_bytes=20)
    assert len(cache.keep("a", mask(30))) == 30
    assert cache.get("a") is None


def test_a_cached_mask_is_read_only(collection):
    kept = Store(collection).matching("width > 110")
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = True


def test_a_filter_is_evaluated_once_but_later_removals_still_apply(collection, run):
    store = Store(collection)
    first = store.mask("width >= 100")
    assert store.matching("width >= 100") is store.matching("width >= 100")
    assert run("remove", collection, "--where", "id = 7", "--reason", "test").status == 0
    again = store.mask("width >= 100")
    assert first[7]
    assert not again[7]
    assert again.sum() == first.sum() - 1
