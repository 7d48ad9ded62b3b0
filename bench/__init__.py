"""Benchmarks that print ratios against a limit measured in the same run on the same data."""
