"""The seeded API."""

from __future__ import annotations

from support.serving_fixtures import anyio_backend, api, keys

__all__ = ["anyio_backend", "api", "keys"]
