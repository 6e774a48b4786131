"""What `import pairdex` gives is what `__all__` says."""

import types

import pairdex


def test_all_and_dir_name_what_can_be_imported_and_no_more():
    assert dir(pairdex) == pairdex.__all__
    assert {name for name in pairdex.__all__ if not hasattr(pairdex, name)} == set()
    assert {
        name for name in pairdex.__all__ if isinstance(getattr(pairdex, name), types.ModuleType)
    } == set()


def test_names_are_in_order_and_each_once():
    assert pairdex.__all__ == sorted(set(pairdex.__all__))


def test_every_name_has_a_docstring():
    for name in set(pairdex.__all__) - {"__version__"}:
        assert getattr(pairdex, name).__doc__, name


def test_a_star_import_gives_them_all():
    names = {}
    exec("from pairdex import *", names)
    assert set(pairdex.__all__) <= names.keys()


def test_the_version_is_that_of_the_package():
    assert pairdex.__version__.split(".")[0].isdecimal()
