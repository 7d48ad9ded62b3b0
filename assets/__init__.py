"""What is materialised: Dagster assets and their checks; the numbers are computed in ``valueverse``."""
