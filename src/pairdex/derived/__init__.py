"""Data made from a collection, which can be deleted and made again."""
