"""What `import pairdex` gives is what `__all__` says, whatever else was imported; and it gives it fast."""

import json
import subprocess
import sys
import types

import pairdex

# A new entry makes `import pairdex` slower for everyone: import it where it is used instead.
LOADED_BY_IMPORT = {"pairdex"}

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, types
import pairdex
names = [one.name for one in pkgutil.walk_packages(pairdex.__path__, "pairdex.")]
missing = {}
for name in names:
    if name.endswith("__main__"):
        continue
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing[name] = str(error)
public = {name: getattr(pairdex, name) for name in pairdex.__all__}
print(json.dumps({
    "dir": dir(pairdex),
    "all": pairdex.__all__,
    "hidden": [name for name, value in public.items() if isinstance(value, types.ModuleType)],
    "imported": len(names) - len(missing),
    "missing": missing,
}))
"""


def test_public_names_stay_themselves_when_every_module_is_imported():
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["dir"] == found["all"] == pairdex.__all__
    assert found["hidden"] == []
    assert found["imported"] > 200
    own = [name for name, why in found["missing"].items() if "No module named 'pairdex" in why]
    assert own == []


def test_import_loads_nothing_but_the_names():
    code = (
        "import sys; before = set(sys.modules); import pairdex; dir(pairdex);"
        "print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {
        name for name in run.stdout.split() if name.split(".")[0] not in sys.stdlib_module_names
    }
    assert loaded == LOADED_BY_IMPORT


def test_opening_a_collection_loads_no_engine(collection):
    code = "import sys, pairdex; pairdex.open(sys.argv[1])[3]; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, collection], capture_output=True, text=True, check=True
    )
    slow = {"duckdb", "fastapi", "ftfy", "httpx", "onnxruntime", "tokenizers", "typer"}
    assert slow & set(run.stdout.split()) == set()


def test_names_are_in_order_and_each_once():
    assert pairdex.__all__ == sorted(set(pairdex.__all__))


def test_every_name_comes_from_a_module_and_has_a_docstring():
    for name in set(pairdex.__all__) - {"__version__"}:
        value = getattr(pairdex, name)
        assert not isinstance(value, types.ModuleType), name
        assert value.__module__.startswith("pairdex."), name
        assert value.__doc__, name


def test_a_star_import_gives_them_all():
    names = {}
    exec("from pairdex import *", names)
    assert set(pairdex.__all__) <= names.keys()


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(pairdex, "nosuch")


def test_the_version_is_that_of_the_package():
    assert pairdex.__version__.split(".")[0].isdecimal()
