"""Projections, shorter forms of a collection's vectors (PCA and binary sketches): models, files, recall."""
