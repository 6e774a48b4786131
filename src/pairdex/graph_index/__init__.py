"""Which rows are probably nearest, found by walking from row to row: fastest for queries like the rows."""
