"""What another process needs is opened there again, once, and only if it is the same."""

import pickle

import pytest

import pairdex
from pairdex.errors import Mismatch
from pairdex.store.sharded import open_store, reopened
from pairdex.work.reopened import Reopened


def test_it_is_opened_again_once_in_another_process():
    opened = Reopened(list, ("ab",), ["here"])
    assert opened.get() == ["here"]
    again = pickle.loads(pickle.dumps(opened))
    assert again.get() == ["a", "b"]
    assert pickle.loads(pickle.dumps(opened)).get() is again.get()


def test_a_collection_whose_rows_have_changed_is_not_taken_for_the_same(collection):
    opened = pickle.dumps(reopened(open_store(collection)))
    pairdex.remove(collection, ids=[3], reason="test")
    with pytest.raises(Mismatch, match="have changed meanwhile: run the same command again"):
        pickle.loads(opened).get()
