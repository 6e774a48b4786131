"""Filters: one SQL predicate over the columns of a table, and nothing else that SQL can do."""

from pairdex.predicate.checked import MAX_PREDICATE_CHARS, Predicate
from pairdex.predicate.evaluation import time_limit
from pairdex.predicate.rules import syntax_nodes

__all__ = ["MAX_PREDICATE_CHARS", "Predicate", "syntax_nodes", "time_limit"]
