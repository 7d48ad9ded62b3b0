"""Exact usage billing, subscriptions and value models on Polars: WHAT is computed. See docs/architecture."""
