"""Committed value models: measuring, fee proposals, stored runs."""
