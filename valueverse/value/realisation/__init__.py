"""Realisation of a commit: metrics from the platform, the committed model run on them, and the fee they come to."""
