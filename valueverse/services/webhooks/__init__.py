"""Webhooks: endpoints that tenants choose, and the notifications that are delivered to them."""
