"""Webhooks: endpoints of the session's tenant, and what was delivered to them."""
