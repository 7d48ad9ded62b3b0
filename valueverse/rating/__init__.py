"""Quantity + price -> amount: one module per family of price models, all lines at once."""
