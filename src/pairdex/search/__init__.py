"""Searching a collection: from what is asked (text, picture, row or vector) to rows, nearest first."""

from pairdex.search.hits import describe
from pairdex.search.neighbours import (
    DEFAULT_K,
    MAX_FOUND,
    MAX_K,
    check_k,
    nearest,
    nearest_in_space,
    open_space,
    similarities,
)
from pairdex.search.query import UNLIKE_WEIGHT, Embeds, Picture, Query, query_vector

__all__ = [
    "DEFAULT_K",
    "MAX_FOUND",
    "MAX_K",
    "UNLIKE_WEIGHT",
    "Embeds",
    "Picture",
    "Query",
    "check_k",
    "describe",
    "nearest",
    "nearest_in_space",
    "open_space",
    "query_vector",
    "similarities",
]
