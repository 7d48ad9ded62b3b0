"""Simulations and re-ratings that are asked for over HTTP and worked out in the background."""
