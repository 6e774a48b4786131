"""Reference data: queries and their exact neighbours."""
