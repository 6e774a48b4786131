"""Inverted files: approximate search in lists of rows that are near each other, by 4-bit codes."""
