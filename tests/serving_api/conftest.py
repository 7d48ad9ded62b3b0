"""The seeded API."""

from __future__ import annotations

from tests.support.serving_fixtures import anyio_backend, api, keys, served

__all__ = ["anyio_backend", "api", "keys", "served"]
