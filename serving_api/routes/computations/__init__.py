"""Simulations and re-ratings: asked for, worked out in the background, read."""
