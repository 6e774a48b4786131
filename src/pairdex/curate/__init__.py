"""Which rows of a collection stay."""
