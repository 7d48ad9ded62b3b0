"""The resource of all assets, and the run config they share."""

from __future__ import annotations

import dagster as dg
from pydantic import Field, field_validator

from valueverse.platform.lake import Lake
from valueverse.platform.settings import TENANT_KEY, Settings, get_settings


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]  # Dagster's generic parameter is for IO managers
    """Settings and lake of this process's environment (``VALUEVERSE_*``)."""

    @property
    def settings(self) -> Settings:
        """Folders, addresses and ports."""
        return get_settings()

    @property
    def lake(self) -> Lake:
        """The Delta tables."""
        return Lake(self.settings.lake_url)


class TenantsConfig(dg.Config):
    """Which tenants a run is for: a backfill of some tenants is the same backfill with a filter."""

    tenants: list[str] = Field(default=[], description="Tenant keys; empty means all of them.")

    @field_validator("tenants")
    @classmethod
    def _are_keys(cls, tenants: list[str]) -> list[str]:
        wrong = [tenant for tenant in tenants if not TENANT_KEY.fullmatch(tenant)]
        if wrong:
            raise ValueError(f"tenants: {wrong[0]!r} is not a tenant key ([a-z0-9][a-z0-9_.-]{{0,62}})")
        return tenants

    def chosen(self) -> list[str] | None:
        """The tenants asked for, or None for all."""
        return sorted(set(self.tenants)) or None
