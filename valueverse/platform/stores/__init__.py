"""Rows of Postgres as frames, one module per subject."""
