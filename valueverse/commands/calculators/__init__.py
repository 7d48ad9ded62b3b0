"""Calculators: one case in, one answer out; no server needed."""
