"""Whatever is given to a public function, the answer is a result or a PairdexError that names the argument."""

import inspect
import shutil
from contextlib import suppress
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import pairdex
from conftest import laion_columns, save_part, unit_rows
from pairdex.errors import InvalidArgument, PairdexError

VECTORS = np.ones((2, 8), np.float32)
IDS = np.zeros((2, 3), np.int64)

# The least that each takes; `@` stands for a folder of the test's own.
GIVEN = {
    "AsyncClient": {"url": "http://127.0.0.1:1"},
    "Client": {"url": "http://127.0.0.1:1"},
    "Query": {"like": 1},
    "Term": {"like": 1},
    "atlas": {"collection": "@/c"},
    "bench": {"collection": "@/c", "queries": VECTORS},
    "build": {"source": "@/parts", "collection": "@/new"},
    "dedup": {"collection": "@/c", "new": "@/new"},
    "encode": {"images": "@/none", "parts": "@/out", "model": "demo"},
    "evaluate": {"results": "@/none.h5", "gold": "@/none.h5"},
    "examples": {"source": "@/c"},
    "export": {"collection": "@/c", "dest": "@/out", "form": "tsv"},
    "export_model": {"source": "@/none", "folder": "@/out"},
    "fetch": {"release": "file:///nosuch", "folder": "@/out"},
    "fetch_model": {"name": "ViT-B/32", "source": "@/none"},
    "gold": {"collection": "@/c", "queries": VECTORS, "out": "@/g.h5", "k": 3},
    "graph": {"collection": "@/c", "out": "@/graph.h5", "k": 3},
    "index": {"collection": "@/c"},
    "info": {"collection": "@/c"},
    "join_shards": {"collections": ["@/c"], "out": "@/new"},
    "open": {"path": "@/c"},
    "pairs": {"collection": "@/c", "out": "@/pairs.parquet", "within": 0.1},
    "photos": {"folder": "@/none"},
    "project": {"collection": "@/c", "name": "pca2", "ceiling": True},
    "pull": {"url": "file:///nosuch", "collection": "@/copy"},
    "push": {"collection": "@/c", "url": "file://@/published"},
    "queries": {"collection": "@/c", "out": "@/q.h5", "n": 1},
    "recall": {"ids": IDS, "gold_ids": IDS},
    "releases": {},
    "remove": {"collection": "@/c", "ids": [1], "reason": "test"},
    "score": {"collection": "@/c", "nsfw": "@/none.npz"},
    "set_model": {"collection": "@/c", "model": "ViT-B/32"},
    "shard": {"collection": "@/c", "shards": 1, "out": "@/new"},
    "sql": {"collection": "@/c", "statement": "SELECT 1"},
    "subset": {"collection": "@/c", "new": "@/new"},
    "verify": {"collection": "@/c"},
    "verify_model": {"collection": "@/c"},
    "write_results": {"out": "@/r.h5", "ids": IDS, "distances": IDS},
    "Collection.facets": {},
    "Collection.nearest": {"vectors": VECTORS},
    "Collection.open": {"path": "@/c"},
    "Collection.picture": {"row_id": 1},
    "Collection.prepare": {},
    "Collection.search": {"question": 1},
    "Collection.sql": {"statement": "SELECT 1"},
    "Collection.take": {"ids": [1]},
    "Collection.vectors": {},
}
# What is no function, or whose arguments come from pairdex itself.
WITHOUT = {"Collection", "Hits", "Neighbours", "PairdexError", "ProgressBar", "__version__"}
PARAMETERS = [
    (name, parameter)
    for name in GIVEN
    for parameter in inspect.signature(
        getattr(pairdex.Collection, name.split(".")[1]) if "." in name else getattr(pairdex, name)
    ).parameters
    if parameter != "self"
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small collection."""
    folder = tmp_path_factory.mktemp("public")
    (folder / "parts").mkdir()
    vectors = unit_rows(12, 8, seed=0)
    save_part(folder / "parts", 0, vectors, vectors, laion_columns(0, 12))
    pairdex.build(folder / "parts", folder / "c")
    return folder


@pytest.fixture
def call(folder, tmp_path, monkeypatch):
    """A function that calls a public name with its least arguments and some others."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # `nosuch` is a path, too

    def call(name, /, **others):
        given = {
            each: value.replace("@", str(tmp_path)) if isinstance(value, str) else value
            for each, value in GIVEN[name].items()
        }
        if name.startswith("Collection.") and name != "Collection.open":
            with pairdex.open(tmp_path / "c") as opened:
                return getattr(opened, name.split(".")[1])(**given | others)
        owner = pairdex.Collection if "." in name else pairdex
        return getattr(owner, name.split(".")[-1])(**given | others)

    return call


def hints_of(name, parameter):
    owner = pairdex.Collection if "." in name else pairdex
    function = getattr(owner, name.split(".")[-1])
    function = function.__init__ if inspect.isclass(function) else function
    hint = get_type_hints(inspect.unwrap(function))[parameter]
    return get_args(hint) if get_origin(hint) not in (None, Literal) else (hint,)


def test_every_public_function_is_looked_at():
    assert {name for name in GIVEN if "." not in name} | WITHOUT == set(pairdex.__all__)


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_an_object_of_no_known_type_is_refused_by_name(call, name, parameter):
    with pytest.raises(InvalidArgument, match=parameter) as caught:
        call(name, **{parameter: object()})
    assert caught.value.field == parameter


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_none_and_booleans_are_refused_by_name_where_they_are_not_meant(call, name, parameter):
    hints = hints_of(name, parameter)
    strange = [np.bool_(True), True] if set(hints) & {int, float} and bool not in hints else []
    is_free = len(hints) > 3 or parameter == "question"  # an array, or a question by keyword
    if type(None) not in hints and not is_free:
        strange.append(None)
    for value in strange:
        with pytest.raises(InvalidArgument, match=parameter) as caught:
            call(name, **{parameter: value})
        assert caught.value.field == parameter


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_no_value_gives_an_error_of_pythons_own(call, name, parameter):
    for value in (-1, 2**70, float("nan"), "nosuch", "", [], [[1], [2, 3]], {}):
        if value == 2**70 and parameter in ("workers", "repeat"):
            continue  # it is not wrong, only more than any machine does
        with suppress(PairdexError):
            call(name, **{parameter: value})
