"""Dagster assets and asset checks: WHAT is materialised. Thin wiring, no arithmetic."""
