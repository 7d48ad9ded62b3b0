"""Expectations, reconciliations and the gate that publishes or holds a tenant."""
