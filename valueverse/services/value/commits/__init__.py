"""Commits of value models: proposed, approved, answered and verified."""
