"""Shorter forms of a collection's vectors, PCA and binary sketches: their models, files and limits."""
