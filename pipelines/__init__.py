"""The Dagster code location: WHEN things run."""
