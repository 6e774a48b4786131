"""Handing a collection on: one module a format."""
