"""The functions and operators a filter may use: row functions whose cost is bounded by their input.

A function is allowed if its result is at most a small multiple of its arguments in size, and its
time is linear in them. If a constant argument determines the cost, the constant is bounded.
Functions that repeat, pad, resize, sort, join or format are not allowed: one value can fill the
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ALLOWED_FUNCTIONS", "Refusal", "Survey", "survey", "syntax_nodes"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REFUSED_CLASSES = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "PARAMETER": "a parameter",
    "STAR": "*",
    "POSITIONAL_REFERENCE": "a positional reference",
}
# LAMBDA is also the JSON arrow; functions that take a lambda are not allowed.
_ALLOWED_CLASSES = _names(
    """
    BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR TYPE
    """
)

# Numeric operators and functions, and text tests that copy nothing: evaluated in this process.
_PLAIN = _names(
    """
    + - * / // % & | ~ << >> xor abs ceil ceiling contains ends_with even floor isfinite isinf isnan
    prefix sign signbit starts_with suffix
    """
)
_LIKE = frozenset({"~~", "!~~", "~~*", "!~~*"})
_NUMBERS = _names(
    """
    ** ^ @ acos add asin atan atan2 bit_count cbrt cos cot degrees divide exp fmod gcd greatest
    greatest_common_divisor lcm least ln log log10 log2 mod multiply nextafter pi pow power radians
    round round_even roundbankers sin sqrt subtract tan trunc
    """
)
_TEXTS = _names(
    """
    || ^@ array_to_string ascii base64 bit_length char_length character_length chr concat concat_ws
    from_base64 hash hex instr lcase left left_grapheme len length length_grapheme lower ltrim md5
    nfc_normalize octet_length ord position regexp_extract regexp_full_match regexp_matches replace
    reverse right right_grapheme rtrim sha1 sha256 split split_part str_split string_split
    string_to_array strip_accents strlen strpos substr substring substring_grapheme to_base64 to_hex
    translate trim ucase unhex unicode upper url_decode url_encode like_escape ilike_escape
    not_like_escape not_ilike_escape ~~~
    """
)
_TIMES = _names(
    """
    century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day
    dayname dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_ns epoch_us era hour isodow
    isoyear julian last_day make_date make_time make_timestamp microsecond millennium millisecond minute
    month monthname nanosecond quarter second strftime strptime time_bucket timezone to_centuries
    to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months
    to_quarters to_seconds to_timestamp to_weeks to_years try_strptime week weekday weekofyear year
    yearweek
    """
)
_VALUES = _names(
    """
    && ->> <@ @> array_contains array_extract array_has array_has_all array_has_any array_indexof
    array_length array_position array_value cardinality element_at if ifnull json_array_length
    json_contains json_exists json_extract json_extract_path json_extract_path_text json_extract_string
    json_type json_valid json_value list_contains list_element list_extract list_has list_has_all
    list_has_any list_indexof list_max list_min list_pack list_position list_value map_contains
    map_extract map_extract_value map_keys nullif row struct_extract struct_pack
    """
)
# Their time is the product of the arguments' lengths, or they repeat a format in each row: one
# argument must be a constant of at most this length.
_SHORT_CONSTANT = {
    **dict.fromkeys(
        [
            "damerau_levenshtein",
            "editdist3",
            "hamming",
            "jaccard",
            "jaro_similarity",
            "jaro_winkler_similarity",
            "levenshtein",
            "mismatches",
        ],
        256,
    ),
    **dict.fromkeys(("strftime", "strptime", "try_strptime", "concat_ws", "array_to_string"), 128),
}
ALLOWED_FUNCTIONS = frozenset(
    _PLAIN | _LIKE | _NUMBERS | _TEXTS | _TIMES | _VALUES | {*_SHORT_CONSTANT}
)
"""All functions that a filter may use, by DuckDB's names."""

_FLAT_TYPES = _names(
    """
    bigint bool boolean bpchar char date decimal dec double float float4 float8 hugeint int int1 int2
    int4 int8 integer int16 int32 int64 int128 interval json long numeric real short smallint string
    text time timestamp timestamptz timestamp_s timestamp_ms timestamp_us timestamp_ns tinyint ubigint
    uhugeint uint8 uint16 uint32 uint64 uinteger usmallint utinyint uuid varchar blob bytea
    timestamp_with_time_zone time_with_time_zone timetz datetime
    """
)
_TEXT_TYPES = frozenset(
    {"blob", "bpchar", "bytea", "char", "json", "string", "text", "varchar", "list"}
)
_PLAIN_OPERATORS = frozenset(
    {"COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"}
)
_PLAIN_NODES = 200  # nodes other than constants: more would be slow, even if each is plain
_PLAIN_WILDCARDS = 4


@dataclass(frozen=True)
class Refusal:
    """A construct that filters may not use; `why` explains it if the name is not enough."""

    what: str
    why: str | None = None
    function: bool = False


@dataclass
class Survey:
    """The constructs of a filter.

    Attributes
    ----------
    refusal
        The first construct that is not allowed; None if all are allowed.
    columns
        Lower-case names in column positions: columns, table qualifiers, struct fields.
    plain
        Whether it consists only of comparisons, IN, LIKE, BETWEEN, IS NULL, AND, OR, NOT and
        arithmetic.
    """

    refusal: Refusal | None = None
    columns: set[str] = field(default_factory=set)
    first_names: set[str] = field(default_factory=set)
    plain: bool = True
    nodes: int = 0


def survey(tree: Any) -> Survey:  # noqa: ANN401 - JSON
    """Inspect every node of a filter's syntax tree."""
    found = Survey()
    for node in syntax_nodes(tree):
        kind = node.get("class")
        if kind is None:
            continue
        found.nodes += kind not in ("CONSTANT", "TYPE")
        found.plain = found.plain and _is_plain(node, kind) and found.nodes <= _PLAIN_NODES
        found.refusal = found.refusal or _refusal(node, kind)
        if kind == "COLUMN_REF":
            names = [str(name).lower() for name in node["column_names"]]
            found.columns.update(names)
            found.first_names.add(names[0])
    return found


def syntax_nodes(tree: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Yield every node of a syntax tree as DuckDB serialises it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _refusal(node: dict[str, Any], kind: str) -> Refusal | None:
    if kind not in _ALLOWED_CLASSES:
        return Refusal(_REFUSED_CLASSES.get(kind, kind.lower().replace("_", " ")))
    if kind == "CAST":
        return _type_refusal(node)
    if kind == "FUNCTION":
        return _function_refusal(node, node["function_name"].lower())
    return None


def _function_refusal(node: dict[str, Any], name: str) -> Refusal | None:
    if name not in ALLOWED_FUNCTIONS:
        return Refusal(name, function=True)
    texts = [_constant_text(argument) for argument in _arguments(node)]
    longest = _SHORT_CONSTANT.get(name)
    if longest is not None and not any(text is not None and len(text) <= longest for text in texts):
        return Refusal(name, f"without a constant of at most {longest} characters")
    if name == "replace" and not _shrinks(texts):
        return Refusal(name, "other than of a constant by one that is not longer")
    return None


def _arguments(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a function's arguments, which carry names since DuckDB 2."""
    if "arguments" in node:
        return [argument["expression"] for argument in node["arguments"]]
    return list(node["children"])


def _shrinks(texts: list[str | None]) -> bool:
    """Whether the replacement of `replace` is at most as long as the text it replaces."""
    if len(texts) != 3 or texts[1] is None or texts[2] is None:
        return False
    return 0 < len(texts[1].encode()) >= len(texts[2].encode())


def _type_refusal(node: dict[str, Any]) -> Refusal | None:
    for name in _type_names(node):
        if name not in _FLAT_TYPES and name != "list":
            return Refusal(f"the type {name}", "in a cast")
    return None


def _type_names(node: dict[str, Any]) -> list[str]:
    """Return the types that a cast names: nodes since DuckDB 2, one value before."""
    if "type_expr" in node:
        named = [each for each in syntax_nodes(node["type_expr"]) if each.get("class") == "TYPE"]
        return [str(each.get("type_name", "")).lower().replace(" ", "_") for each in named]
    old = [each for each in syntax_nodes(node.get("cast_type")) if "id" in each]
    return [str(each["id"]).lower().replace(" ", "_") for each in old] or ["of no known form"]


def _constant_text(node: dict[str, Any]) -> str | None:
    """Return a text constant; None for any other node."""
    if node.get("class") != "CONSTANT":
        return None
    said = node["literal"].get("text") if "literal" in node else node.get("value", {}).get("value")
    return "" if said is None else str(said)


def _is_plain(node: dict[str, Any], kind: str) -> bool:
    if kind == "OPERATOR":
        return node.get("type") in _PLAIN_OPERATORS
    if kind == "CAST":
        return not _TEXT_TYPES.intersection(_type_names(node))
    if kind != "FUNCTION":
        return kind not in ("CASE", "COLLATE", "LAMBDA")
    name = node["function_name"].lower()
    if name not in _LIKE:
        return name in _PLAIN
    pattern = _constant_text(_arguments(node)[-1])
    return pattern is not None and pattern.count("%") + pattern.count("_") <= _PLAIN_WILDCARDS
