"""Run one sandboxed, read-only SELECT over a collection's metadata, with search functions."""
