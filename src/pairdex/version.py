"""The version of the package, as its metadata says."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("pairdex")
