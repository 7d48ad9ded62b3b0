"""Prices worked out again, in SQL."""
