"""Where the library and the world meet, without Dagster: plain functions for assets, commands and benches."""
