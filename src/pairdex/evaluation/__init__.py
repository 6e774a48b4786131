"""Measuring searches: recall against a gold standard, speed, operating points, plots."""
