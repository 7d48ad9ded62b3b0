"""Committed value models: measured, proposed, kept."""
