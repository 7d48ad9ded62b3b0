"""Generated from the OpenAPI document; see docs/clients.md."""

API_VERSION = "2026-11-01"
