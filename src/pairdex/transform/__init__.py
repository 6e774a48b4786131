"""Reference data made from a collection."""
