"""Measure searches: recall against a gold standard, speed, operating points and plots."""
