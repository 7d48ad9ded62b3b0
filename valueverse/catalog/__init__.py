"""Meters, plans, charges, coupons and taxes: what a tenant sells, as a document (contracts.md, 3)."""
