"""Search a collection by text, picture, row or vector; rows come nearest first."""

from pairdex.search.facets import Facet, Facets, count_facets
from pairdex.search.finder import Finder, HasFinder
from pairdex.search.hits import FIRST, Hits, as_hit, describe, hit_columns
from pairdex.search.neighbours import (
    DEFAULT_K,
    MAX_FOUND,
    MAX_K,
    check_k,
    check_vectors,
    distances_between,
    nearest,
    nearest_in_space,
    open_space,
)
from pairdex.search.options import SearchOptions
from pairdex.search.query import (
    MAX_TERMS,
    MAX_WEIGHT,
    UNLIKE_WEIGHT,
    Picture,
    Query,
    Term,
    TextImageEncoder,
    query_vector,
)
from pairdex.search.report import SearchMethod, SearchReport
from pairdex.search.safety import narrowed, safe_filter

__all__ = [
    "DEFAULT_K",
    "FIRST",
    "MAX_FOUND",
    "MAX_K",
    "MAX_TERMS",
    "MAX_WEIGHT",
    "UNLIKE_WEIGHT",
    "Facet",
    "Facets",
    "Finder",
    "HasFinder",
    "Hits",
    "Picture",
    "Query",
    "SearchMethod",
    "SearchOptions",
    "SearchReport",
    "Term",
    "TextImageEncoder",
    "as_hit",
    "check_k",
    "check_vectors",
    "count_facets",
    "describe",
    "distances_between",
    "hit_columns",
    "narrowed",
    "nearest",
    "nearest_in_space",
    "open_space",
    "query_vector",
    "safe_filter",
]
