"""Billing events to a timeline of segments; billing periods; proration (billing.md, Time)."""
